"""Cases in phases: the same test once more after each event that the case declares, on the disk that it left.

Each phase is a run of the test with LAB_PHASE=1, 2, ... It asks for its event with a line ``# lab: <event>`` and waits.
Every guest begins at "booted, nothing mounted", so that what the new kernel makes of the disk is part of its phase; it
has the disk under test and a spare one of the same kind. A phase that does not come to its event ends the case.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness.cache import Cache
from harness.catalogue.model import Event, Kind, Suite
from harness.errors import InfraError, UserError
from harness.guest import disks
from harness.machine import snapshot
from harness.machine.command import Disk
from harness.machine.machine import Machine
from harness.machine.outcome import Answer, BootError, Ended, Host, RawResult
from harness.progress import Progress
from harness.runner import prepare
from harness.runner.prepare import Ready
from harness.runner.record import CaseRun, check, program_of, record
from harness.verdict import judge

SPARE = "LAB_SPARE=/dev/vdb"
MANY = 20
"""Guests that the cuts of a case are thought to take."""

ANSWERS = {
    Event.POWER_CUT: Answer.CUT,
    Event.PANIC: Answer.GO,  # the case panics its kernel itself
    Event.REBOOT: Answer.END,
    Event.REMOUNT: Answer.END,
    Event.COPY: Answer.END,
    Event.SNAPSHOT: Answer.GO,
}


def among(suite: Suite, cases: Sequence[str]) -> list[str]:
    """Those of the cases that run in phases."""
    return [case for case in cases if suite.cases[case].phases or suite.cases[case].cuts]


def guests(suite: Suite, cases: Sequence[str]) -> int:
    """How many guests the cases take that run in phases; a cut counts as many, whatever it comes to."""
    phased = [suite.cases[case] for case in among(suite, cases)]
    return sum(MANY if case.cuts and case.cut is None else len(case.phases) + 1 for case in phased)


def make_ready(ready: Ready, suite: Suite, cases: Sequence[str], cache: Cache, folder: Path, tell: Progress) -> Ready:
    """The state with its guests booted: one for plain cases, a bare one for those in phases, as there are any.

    Raises UserError when the guests are exact or have no disk, InfraError when QEMU does not run or does not save.
    """
    phased = among(suite, cases)
    if len(phased) < len(cases):
        ready = prepare.boot(ready, cache, folder, tell)
    if not phased:
        return ready
    if ready.exact:
        raise UserError(f"{phased[0]} has phases: an exact guest has but one", hint="run it without --exact")
    if ready.disk is None:
        raise UserError(f"{phased[0]} has phases, and a filesystem without a disk does not outlive its guest")
    # Another filesystem, not the same twice: btrfs would not mount both, and an inode is known by its filesystem.
    spare = disks.make(ready.filesystem, cache, disks.SPARE_UUID) if ready.filesystem else None
    bare = replace(ready, options=replace(ready.options, later=True), spare=spare, snapshot=None, unborn=None)
    return replace(ready, bare=prepare.boot(bare, cache, folder, tell))


@contextmanager
def guest(bare: Ready, own: tuple[Disk, ...], console: Path) -> Iterator[Machine]:
    """A guest at "booted, nothing mounted" with these disks.

    Raises BootError when it never is ready, InfraError when QEMU is at fault.
    """
    if bare.snapshot is None:
        with Machine(replace(bare.options, disks=own), console) as machine:
            machine.wait_ready()
            yield machine
        return
    with ExitStack() as stack:
        forked = _forked(stack, bare, own, console)
        yield forked or stack.enter_context(snapshot.fork(bare.options, bare.snapshot, own, console))


def _forked(stack: ExitStack, bare: Ready, own: tuple[Disk, ...], console: Path) -> Machine | None:
    """The guest as a fork of one that stands; None where there is none, or where its QEMU does not fork."""
    standby = bare.standby
    parent = standby.zygote if standby else None
    # Whose writes are recorded has a filter before its disk, which the one that stands has not.
    if standby is None or parent is None or any(disk.writes for disk in own):
        return None
    try:
        return stack.enter_context(snapshot.fork(bare.options, parent.snapshot, own, console, parent.birth))
    except InfraError as exc:
        if standby.stopping.is_set():
            raise
        standby.give_up(exc.message)
        return None


def never_ready(bare: Ready, console: Path) -> RawResult:
    """The boot that failed, as the case's own."""
    assert bare.unborn is not None
    shutil.copyfile(bare.unborn.console, console)
    return replace(bare.unborn, console=console)


@dataclass
class _Walk:
    """A case on its way through its phases. ``guests`` holds the machine that runs."""

    bare: Ready
    suite: Suite
    case: str
    folder: Path
    guests: ExitStack
    own: tuple[Disk, ...]
    machine: Machine | None = None
    seen: int = 0  # bytes of the running guest's console that belong to earlier phases
    argv: tuple[str, ...] = ()
    records: list[judge.CaseRecord] = field(default_factory=list)


def run(ready: Ready, suite: Suite, case: str, folder: Path) -> CaseRun:
    """Run a case through all its phases, or up to the first that does not come to its event.

    Raises InfraError when QEMU or the filesystem's checker cannot be run at all.
    """
    bare = ready.bare
    assert bare is not None
    with ExitStack() as guests:
        walk = _Walk(bare, suite, case, folder, guests, prepare.own_disks(bare, folder))
        for number, event in enumerate((*suite.cases[case].phases, None), 1):
            if not _phase(walk, number, event):
                break
    *before, last = walk.records
    return CaseRun(msgspec.structs.replace(last, before=tuple(before)), walk.argv, walk.own[0].path)


def _phase(walk: _Walk, number: int, event: Event | None) -> bool:
    """One phase; whether the next may follow."""
    console = walk.folder / f"console.{number}.log"
    try:
        raw, reached = _run(walk, number, event, console)
    except BootError as exc:
        raw, reached = RawResult(Ended.NO_BOOT, exc.message, console=console, console_to=console.stat().st_size), False
    walk.argv = raw.argv or walk.argv
    checked = check(walk.bare, raw, walk.own[0].path) if walk.own else None
    part = record(walk.bare, walk.suite, walk.case, raw, checked)
    ended = judge.Ended.EVENT if reached and raw.stopped else part.ended
    # A snapshot does not end its phase: that is judged like any other case.
    due = None if reached and event is Event.SNAPSHOT else event
    walk.records.append(msgspec.structs.replace(part, phase=str(number), event=due, ended=ended))
    passed = judge.judge(walk.records[-1]).kind is Kind.PASSED
    if reached and passed and event:
        _after(walk, event)
    return reached and passed


def _run(walk: _Walk, number: int, event: Event | None, console: Path) -> tuple[RawResult, bool]:
    """What one run of the test came to, and whether that was its event."""
    if walk.bare.unborn:
        return never_ready(walk.bare, console), False
    if walk.machine is None:
        walk.machine = walk.guests.enter_context(guest(walk.bare, walk.own, console))
        walk.seen = 0
    machine = walk.machine
    asked: list[str] = []
    program, test, seconds = program_of(walk.bare, walk.suite, walk.case)
    raw = machine.run_case(
        program, test, seconds, variables=(f"LAB_PHASE={number}", SPARE), host=_host(walk, machine, event, asked)
    )
    # From a guest's first word on: how it mounted the disk is what the phase is about.
    raw = replace(raw, console_from=walk.seen)
    walk.seen = raw.console_to
    reached = event is not None and asked == [event.value]
    if event is Event.PANIC:
        reached = reached and raw.ended is Ended.PANIC
    return raw, reached


def _host(walk: _Walk, machine: Machine, event: Event | None, asked: list[str]) -> Host:
    def host(text: str) -> Answer:
        asked.append(text)
        if event is None or text != event.value:
            return Answer.END
        if event is Event.SNAPSHOT:
            machine.standing_still(lambda: _copy(walk.own[0].path, walk.folder / "snapshot.img"))
        return ANSWERS[event]

    return host


def _copy(source: Path, target: Path) -> None:
    disks.copy_sparse(source, target)


def _after(walk: _Walk, event: Event) -> None:
    """The disk, and the guest, that the next phase finds."""
    if event is Event.REMOUNT:
        return
    walk.guests.close()
    walk.machine = None
    disk, spare = walk.own
    if event is Event.COPY:
        walk.own = (spare, disk)
    if event is Event.SNAPSHOT:
        walk.own = (Disk(walk.folder / "snapshot.img"), spare)
