"""One case in one guest: from a ready state to a record that can be judged, now and later."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from harness.catalogue.model import Expectation, Suite
from harness.errors import InfraError
from harness.machine import snapshot
from harness.machine.machine import Machine
from harness.machine.outcome import BootError, RawResult
from harness.progress import Progress, silent
from harness.runner import cuts, exact, phases, replay
from harness.runner.kept import Keeper
from harness.runner.prepare import Ready, Standby, own_disks
from harness.runner.record import CaseRun, check, program_of, record
from harness.verdict import judge


def run_case(
    ready: Ready, suite: Suite, case: str, folder: Path, tell: Progress = silent, wanted: Expectation | None = None
) -> CaseRun:
    """Run ``case`` in a guest of its own, in several if it has phases; its consoles and its disk go to ``folder``.

    What is not ``wanted`` leaves its guest there too.
    Raises InfraError when QEMU or the filesystem's checker cannot be run at all, UserError for phases in exact guests.
    """
    if phases.among(suite, [case]):
        return _phased(ready, suite, case, folder, tell)
    if ready.unborn:
        console = shutil.copyfile(ready.unborn.console, folder / "console.log")
        return _done(ready, suite, case, replace(ready.unborn, console=console))
    if ready.exact:
        return _exact(ready, suite, case, folder)
    return _kept(ready, suite, case, folder, wanted)


def _phased(ready: Ready, suite: Suite, case: str, folder: Path, tell: Progress) -> CaseRun:
    """A case in phases. When the QEMU of a fork is lost it is run again, in guests that are not forks: that counts."""
    assert ready.bare is not None
    standby = ready.bare.standby
    parent = standby.zygote if standby else None
    done = _in_phases(ready, suite, case, folder, tell)
    lost = any(part.ended is judge.Ended.LOST for part in (*done.record.before, done.record))
    if standby is None or parent is None or not lost or standby.stopping.is_set():
        return done
    standby.give_up("a QEMU forked from it was lost")
    shutil.rmtree(folder)
    folder.mkdir()
    return _in_phases(ready, suite, case, folder, tell)


def _in_phases(ready: Ready, suite: Suite, case: str, folder: Path, tell: Progress) -> CaseRun:
    if suite.cases[case].cuts:
        return cuts.run(ready, suite, case, folder, tell)
    return phases.run(ready, suite, case, folder)


def _done(ready: Ready, suite: Suite, case: str, raw: RawResult, recording: tuple[Path, ...] = ()) -> CaseRun:
    return CaseRun(record(ready, suite, case, raw, None), raw.argv, None, recording)


def _exact(ready: Ready, suite: Suite, case: str, folder: Path) -> CaseRun:
    program, test, seconds = program_of(ready, suite, case)
    if ready.record:
        raw, files = replay.record(ready.options, ready.kernel.symbols, folder, program, test, seconds)
        return _done(ready, suite, case, raw, files)
    return _done(ready, suite, case, exact.run(ready.options, folder / "console.log", program, test, seconds))


def _kept(ready: Ready, suite: Suite, case: str, folder: Path, wanted: Expectation | None) -> CaseRun:
    """A case in a guest that can be looked at, and kept, as long as nobody has said that all is well with its disk."""
    if ready.standby and (done := _from_zygote(ready, ready.standby, suite, case, folder, wanted)):
        return done
    own = own_disks(ready, folder)
    disk = own[0].path if own else None
    console = folder / "console.log"
    if ready.snapshot is None:
        with Machine(replace(ready.options, disks=own), console) as machine:
            try:
                machine.wait_ready()
            except BootError as exc:
                return replace(_done(ready, suite, case, machine.unborn(exc)), disk=disk)
            return _in_guest(Keeper(machine, ready, suite, case, folder, wanted), disk)
    with snapshot.fork(ready.options, ready.snapshot, own, console) as machine:
        return _in_guest(Keeper(machine, ready, suite, case, folder, wanted), disk)


def _from_zygote(
    ready: Ready, standby: Standby, suite: Suite, case: str, folder: Path, wanted: Expectation | None
) -> CaseRun | None:
    """A case in a guest forked from one that stands; None where there is none, or where its QEMU fails.

    A QEMU that crashes may do so for having been forked: then the case is run in one that was not, and counts there.
    """
    parent = standby.zygote
    if parent is None:
        return None
    own = own_disks(replace(ready, snapshot=parent.snapshot), folder)
    console = folder / "console.log"
    try:
        with snapshot.fork(ready.options, parent.snapshot, own, console, parent.birth) as machine:
            keeper = Keeper(machine, ready, suite, case, folder, wanted)
            done = _in_guest(keeper, own[0].path if own else None)
            crashed = done.record.ended is judge.Ended.LOST and bool(machine.child.poll())
    except InfraError as exc:
        if standby.stopping.is_set():
            raise
        standby.give_up(exc.message)
        return None
    if crashed and not standby.stopping.is_set():
        standby.give_up("a QEMU forked from it crashed")
        return None
    return done


def _in_guest(keeper: Keeper, disk: Path | None) -> CaseRun:
    ready, suite, case = keeper.ready, keeper.suite, keeper.case
    program, test, seconds = program_of(ready, suite, case)
    raw = keeper.machine.run_case(program, test, seconds, look=keeper.look)
    checked = check(ready, raw, disk)
    keeper.consider(raw, checked)
    return CaseRun(record(ready, suite, case, raw, checked), raw.argv, disk, kept=keeper.files)
