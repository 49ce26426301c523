"""One case in one guest: from a ready state to a record that can be judged, now and later."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from harness.catalogue.model import Suite
from harness.machine import snapshot
from harness.machine.command import Disk
from harness.machine.machine import RawResult, boot_and_run
from harness.progress import Progress, silent
from harness.runner import cuts, exact, phases, replay
from harness.runner.prepare import Ready, own_disks
from harness.runner.record import CaseRun, check, program_of, record


def run_case(ready: Ready, suite: Suite, case: str, folder: Path, tell: Progress = silent) -> CaseRun:
    """Run ``case`` in a guest of its own, in several if it has phases; its consoles and its disk go to ``folder``.

    Raises InfraError when QEMU or the filesystem's checker cannot be run at all, UserError for phases in exact guests.
    """
    if suite.cases[case].cuts:
        return cuts.run(ready, suite, case, folder, tell)
    if suite.cases[case].phases:
        return phases.run(ready, suite, case, folder)
    own = own_disks(ready, folder)
    recording: tuple[Path, ...] = ()
    if ready.record:
        program, test, seconds = program_of(ready, suite, case)
        raw, recording = replay.record(ready.options, ready.kernel.symbols, folder, program, test, seconds)
    else:
        raw = _run(ready, suite, case, own, folder / "console.log")
    disk = own[0].path if own else None
    return CaseRun(record(ready, suite, case, raw, check(ready, raw, disk)), raw.argv, disk, recording)


def _run(ready: Ready, suite: Suite, case: str, own: tuple[Disk, ...], console: Path) -> RawResult:
    if ready.unborn:
        shutil.copyfile(ready.unborn.console, console)
        return replace(ready.unborn, console=console)
    program, test, seconds = program_of(ready, suite, case)
    if ready.exact:
        return exact.run(ready.options, console, program, test, seconds)
    if ready.snapshot is None:
        return boot_and_run(replace(ready.options, disks=own), console, program, test, seconds)
    with snapshot.fork(ready.options, ready.snapshot, own, console) as machine:
        return machine.run_case(program, test, seconds)
