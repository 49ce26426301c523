"""One case in one guest: from a ready state to a record that can be judged, now and later."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue.model import Case, Suite
from harness.guest import disks
from harness.machine import snapshot
from harness.machine.command import Disk
from harness.machine.machine import Ended, RawResult, boot_and_run
from harness.runner import exact, replay
from harness.runner.prepare import Ready
from harness.verdict import judge


@dataclass(frozen=True)
class CaseRun:
    """What a case left: the record for the judge, QEMU's command, its disk if it has one, what can replay it."""

    record: judge.CaseRecord
    argv: tuple[str, ...]
    disk: Path | None
    recording: tuple[Path, ...] = ()


def run_case(ready: Ready, suite: Suite, case: str, folder: Path) -> CaseRun:
    """Run ``case`` in a guest of its own; its console and its disk go to ``folder``.

    Raises InfraError when QEMU or the filesystem's checker cannot be run at all.
    """
    declared = suite.cases[case]
    disk = _own_disk(ready, folder)
    recording: tuple[Path, ...] = ()
    if ready.record:
        test, seconds = declared.test or case, declared.timeout or suite.timeout
        raw, recording = replay.record(
            ready.options, ready.kernel.symbols, folder, ready.program_of(case), test, seconds
        )
    else:
        raw = _run(ready, suite, case, disk, folder / "console.log")
    return CaseRun(_record(ready, raw, case, declared, _check(ready, raw, disk)), raw.argv, disk, recording)


def _own_disk(ready: Ready, folder: Path) -> Path | None:
    saved = ready.snapshot.disks if ready.snapshot else ()
    source = saved[0] if saved else ready.disk
    return disks.copy_sparse(source, folder / "disk.img") if source else None


def _run(ready: Ready, suite: Suite, case: str, disk: Path | None, console: Path) -> RawResult:
    if ready.unborn:
        shutil.copyfile(ready.unborn.console, console)
        return replace(ready.unborn, console=console)
    declared = suite.cases[case]
    program = ready.program_of(case)
    test, seconds = declared.test or case, declared.timeout or suite.timeout
    own = (Disk(disk),) if disk else ()
    if ready.exact:
        return exact.run(ready.options, console, program, test, seconds)
    if ready.snapshot is None:
        return boot_and_run(replace(ready.options, disks=own), console, program, test, seconds)
    with snapshot.fork(ready.options, ready.snapshot, own, console) as machine:
        return machine.run_case(program, test, seconds)


def _check(ready: Ready, raw: RawResult, disk: Path | None) -> judge.Check | None:
    """The checker's word, of a disk whose guest came to say that it let go of it."""
    if disk is None or ready.filesystem is None or not ready.filesystem.check or raw.unmount != "ok":
        return None
    checked = disks.check(ready.filesystem, disk)
    return judge.Check(exit=0 if checked.clean else 1, output=checked.output)


def _record(ready: Ready, raw: RawResult, case: str, declared: Case, check: judge.Check | None) -> judge.CaseRecord:
    status = -raw.signal if raw.signal is not None else raw.exit_code
    return judge.CaseRecord(
        case=case,
        state=ready.state.name,
        ended=judge.Ended(raw.ended.value),
        test=declared.test or case,
        exit=status,
        ktap=raw.ktap,
        console=_console(raw),
        unmount="" if raw.unmount == "ok" else raw.unmount,
        left=raw.left,
        check=check,
        splat=declared.splat,
        detail=raw.detail,
        duration=raw.seconds,
    )


def _console(raw: RawResult) -> str:
    """The case's own part of the console; all of it when the guest never came to the case."""
    start = 0 if raw.ended is Ended.NO_BOOT else raw.console_from
    with raw.console.open("rb") as stream:
        stream.seek(start)
        return stream.read(raw.console_to - start).decode(errors="replace")
