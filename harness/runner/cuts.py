"""Cases whose every write is a place to cut the power: ``cuts = true``.

Phase 1 (LAB_PHASE=1) runs with every write and flush of the disk recorded. It says ``# lab: mark <name>`` where the
window of interest begins, where it ends, and wherever what is promised changes in between. Phase 2 (LAB_PHASE=2) then
runs once for each cut, in a guest of its own, on the disk as it would be had the power gone there; LAB_MARK is the last
mark that was passed, so that the test knows what it was promised.

Two kinds of cut, numbered in this order:

* a prefix: the first n writes of the window have happened, nothing of the rest. 0 is the window's begin, and the end
  of every epoch (all up to a flush) is one of them.
* a survivor: the disk's cache kept one write of an epoch and lost the others. What a flush promised is there, then one
  of the writes that followed it, alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness.catalogue.model import Kind, Suite
from harness.errors import UserError
from harness.guest import disks
from harness.machine.command import Disk
from harness.machine.machine import Machine
from harness.machine.outcome import Answer, BootError, Ended, RawResult
from harness.machine.writes import Entry, Log
from harness.progress import Progress, Step, silent
from harness.runner import phases, prepare
from harness.runner.prepare import Ready
from harness.runner.record import CaseRun, check, program_of, record
from harness.verdict import judge

MARK = "mark "
FAILURES = 12
"""Failed cuts that are kept, and after which the rest is not tried any more."""
TABLE = "cuts.txt"


@dataclass(frozen=True)
class Mark:
    """A place that phase 1 named: how many entries the log had then."""

    name: str
    at: int


@dataclass(frozen=True)
class Cut:
    """A disk that a power cut could leave: all of the log up to ``durable``, and the entries in ``more``."""

    number: int
    durable: int
    more: tuple[int, ...]
    mark: str
    told: str


def plan(entries: Sequence[Entry], marks: Sequence[Mark]) -> list[Cut]:
    """All cuts of the window from the first mark to the last: prefixes, then survivors. Pure.

    A survivor is left out where it is a prefix too: as the first write of its epoch.
    """
    begin, end = marks[0].at, marks[-1].at
    places = [begin, *(index + 1 for index in range(begin, end) if entries[index].length)]
    if places[-1] != end:
        places.append(end)
    cuts: list[tuple[int, tuple[int, ...], str]] = [
        (place, (), f"{place - begin} of {end - begin}") for place in places
    ]
    for first, last in _epochs(entries, begin, end):
        written = [index for index in range(first, last) if entries[index].length]
        cuts += [(first, (index,), f"only {index - begin + 1} after {first - begin}") for index in written[1:]]
    return [
        Cut(number, durable, more, _mark_at(marks, durable), told) for number, (durable, more, told) in enumerate(cuts)
    ]


def _epochs(entries: Sequence[Entry], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The entries between two flushes, as (first, last + 1)."""
    first = begin
    for index in range(begin, end):
        if entries[index].is_flush:
            yield first, index
            first = index
    yield first, end


def _mark_at(marks: Sequence[Mark], durable: int) -> str:
    """What the program had been told when no more than ``durable`` entries were written: the last mark before."""
    return [mark for mark in marks if mark.at <= durable][-1].name


@dataclass
class _Walk:
    """A case on its way through its cuts."""

    bare: Ready
    suite: Suite
    case: str
    folder: Path
    tell: Progress
    marks: list[Mark] = field(default_factory=list)
    argv: tuple[str, ...] = ()
    failed: list[judge.CaseRecord] = field(default_factory=list)
    table: list[str] = field(default_factory=list)
    seconds: float = 0.0  # of all cuts
    disk: Path | None = None  # of the first cut that failed, as the cut left it

    @property
    def log(self) -> Log:
        return Log(self.folder / "writes")


def run(ready: Ready, suite: Suite, case: str, folder: Path, tell: Progress = silent) -> CaseRun:
    """Record a case's writes, then run its second phase once for each cut; only for ``Case.cut`` where that is given.

    Raises InfraError when QEMU or the filesystem's checker cannot be run at all, UserError when there is no such cut.
    """
    assert ready.bare is not None
    walk = _Walk(ready.bare, suite, case, folder, tell)
    first = _record(walk)
    disk = folder / "disk.img"
    if judge.judge(first).kind is not Kind.PASSED:
        return CaseRun(first, walk.argv, disk)
    if len(walk.marks) < 2:
        told = f"{first.ktap}Bail out! it set {len(walk.marks)} of at least two marks: there is no window to cut\n"
        return CaseRun(msgspec.structs.replace(first, ktap=told), walk.argv, disk)
    last = _cut_all(walk, suite.cases[case].cut)
    kept = folder / TABLE
    kept.write_text("\n".join(walk.table) + "\n")
    whole = msgspec.structs.replace(
        last,
        before=(first, *walk.failed[:-1]),
        note=f"{len(walk.table)} cuts",
        duration=walk.seconds - sum(part.duration for part in walk.failed[:-1]),  # those that passed are kept nowhere
    )
    return CaseRun(whole, walk.argv, walk.disk or disk, kept=(kept,))


def _record(walk: _Walk) -> judge.CaseRecord:
    """Phase 1, its writes recorded in ``walk.log`` and its marks noted."""
    disk, *others = prepare.own_disks(walk.bare, walk.folder)
    walk.log.path.touch()
    raw = _guest(walk, (replace(disk, writes=walk.log.path), *others), "1", ("LAB_PHASE=1",))
    walk.argv = raw.argv
    return _phase(walk, raw, "1", disk.path)


def _phase(walk: _Walk, raw: RawResult, phase: str, disk: Path) -> judge.CaseRecord:
    part = record(walk.bare, walk.suite, walk.case, raw, check(walk.bare, raw, disk))
    return msgspec.structs.replace(part, phase=phase)


def _guest(walk: _Walk, own: tuple[Disk, ...], name: str, variables: tuple[str, ...]) -> RawResult:
    console = walk.folder / f"console.{name}.log"
    if walk.bare.unborn:
        return phases.never_ready(walk.bare, console)
    program, test, seconds = program_of(walk.bare, walk.suite, walk.case)
    try:
        with phases.guest(walk.bare, own, console) as machine:
            host = _Marks(walk, machine)
            raw = machine.run_case(program, test, seconds, variables=(*variables, phases.SPARE), host=host)
    except BootError as exc:
        return RawResult(Ended.NO_BOOT, exc.message, console=console, console_to=console.stat().st_size)
    return replace(raw, console_from=0)


@dataclass
class _Marks:
    """The host that notes marks."""

    walk: _Walk
    machine: Machine

    def __call__(self, text: str) -> Answer:
        if text.startswith(MARK):
            self.machine.standing_still(lambda: self._note(text.removeprefix(MARK)))
            return Answer.GO
        return Answer.END

    def _note(self, name: str) -> None:
        self.walk.marks.append(Mark(name, len(self.walk.log.entries())))


def _cut_all(walk: _Walk, only: int | None) -> judge.CaseRecord:
    """All cuts, or one. The record of the last that failed, else of the last."""
    entries = walk.log.entries()
    cuts = [cut for cut in plan(entries, walk.marks) if only is None or cut.number == only]
    last: judge.CaseRecord | None = None
    for done, cut in enumerate(cuts):
        walk.tell(Step("cuts", done, len(cuts), walk.case))
        part = _cut(walk, entries, cut)
        last = walk.failed[-1] if walk.failed else part
        if len(walk.failed) >= FAILURES:
            break
    if last is None:
        raise UserError(f"{walk.case}: there is no cut {only}", hint="cuts.txt of a run of all of them has the numbers")
    return last


def _cut(walk: _Walk, entries: Sequence[Entry], cut: Cut) -> judge.CaseRecord:
    """Phase 2 on the disk that one cut leaves."""
    own = _disks_of(walk, entries, cut)
    name = f"cut-{cut.number}"
    raw = _guest(walk, own, name, ("LAB_PHASE=2", f"LAB_CUT={cut.number}", f"LAB_MARK={cut.mark}"))
    part = _phase(walk, raw, f"cut {cut.number}", own[0].path)
    outcome = judge.judge(part)
    told = outcome.kind.value if outcome.kind is Kind.PASSED else f"{outcome.kind.value}: {outcome.reason}"
    walk.seconds += part.duration
    walk.table.append(f"{cut.number:5} {cut.mark:12} {cut.told:24} {told}")
    if outcome.kind is not Kind.PASSED:
        walk.failed.append(part)
        if walk.disk is None:
            # Made again: its guest has recovered and changed the other.
            walk.disk = _made(walk, entries, cut, walk.folder / "cut.img")
    (walk.folder / f"console.{name}.log").unlink()
    return part


def _disks_of(walk: _Walk, entries: Sequence[Entry], cut: Cut) -> tuple[Disk, ...]:
    spare = walk.folder / "empty.img"
    disk = _made(walk, entries, cut, walk.folder / "cut-disk.img")
    with spare.open("wb") as stream:
        stream.truncate(disk.stat().st_size)
    return Disk(disk), Disk(spare)


def _made(walk: _Walk, entries: Sequence[Entry], cut: Cut, disk: Path) -> Path:
    """The disk that a cut leaves, made from the pristine one."""
    begin = walk.folder / "begin.img"
    if not begin.exists():
        assert walk.bare.disk is not None
        disks.copy_sparse(walk.bare.snapshot.disks[0] if walk.bare.snapshot else walk.bare.disk, begin)
        walk.log.apply(entries[: walk.marks[0].at], begin)
    disks.copy_sparse(begin, disk)
    walk.log.apply([*entries[walk.marks[0].at : cut.durable], *(entries[index] for index in cut.more)], disk)
    return disk
