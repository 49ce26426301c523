"""Which commit of a base, which patch of a series or which commit of the workspace turned a case.

A search that skips what does not build, along the lines that moved between the last good run and the first bad one: the
base's commits, when it is a git tree; the patches of the series, when the case is good before the first of them; the
workspace's own commits (the patches, the programs, the expectations). The first line whose ends differ has the answer.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.catalogue.load import load, select
from harness.catalogue.model import Base
from harness.errors import BuildError, DeclarationError, SeriesError, UserError
from harness.history.rows import Point
from harness.history.trend import Track
from harness.kernel.line import Commit, between, export
from harness.kernel.series import read_series
from harness.nightly.errand import Quiet
from harness.nightly.morning import Found
from harness.plan import WITH, WITHOUT, Job, Request, plan
from harness.progress import Progress, Step, silent
from harness.results.text import word
from harness.runner.prepare import Place, Wishes
from harness.runner.run import run
from harness.verdict.judge import meets
from harness.verdict.search import search

TRIES = 2
"""A bad answer is asked for again, from power-on: once is no regression."""


@dataclass(frozen=True)
class Position:
    """One place to try: how it is called, and how to get there."""

    name: str
    subject: str
    place: Callable[[], Place]
    state: str


@dataclass(frozen=True)
class Line:
    """What is walked along, from good to bad."""

    over: str
    positions: tuple[Position, ...]


def bisect(place: Place, track: Track, progress: Progress = silent) -> Found:
    """Where a regression began.

    Raises UserError when nothing moved that can be walked along, or nothing that moved explains it; InfraError.
    """
    good, bad = track.last_good, track.first_bad
    if good is None or bad is None:
        raise UserError(f"{track.case}: there is no good run to begin at")
    tried = []
    with ExitStack() as stack:
        for line in _lines(place, track, good, bad, stack):
            found = _walk(line, track, progress)
            if found is not None:
                return found
            tried.append(line.over)
    why = f"it is the same at both ends of {' and of '.join(tried)}" if tried else "nothing that it walks along moved"
    raise UserError(f"{why}, between {good.run} and {bad.run}", hint="the host or the lab changed")


def _walk(line: Line, track: Track, progress: Progress) -> Found | None:
    """The answer along one line; None when its ends are of one kind or cannot be tried."""
    steps: dict[int, tuple[bool | None, str]] = {}

    def ask(number: int) -> bool | None:
        if number not in steps:
            progress(Step("bisect", len(steps), 0, line.positions[number].name))
            steps[number] = _try(line.positions[number], track)
        return steps[number][0]

    answer = search(len(line.positions) - 1, ask)
    if not isinstance(answer, tuple) or steps[answer[0]][0] is False:
        return None
    old, new = answer
    told = (f"{_sign(steps[n][0])}  {line.positions[n].name}  {steps[n][1]}" for n in sorted(steps))
    culprits = line.positions[old + 1 : new + 1]
    subject = culprits[0].subject if len(culprits) == 1 else "one of these: those before the last cannot be tried"
    what = f"{track.lane.scenario}/{track.case} ({track.lane.words})"
    return Found(what, " ".join(each.name for each in culprits), subject, line.over, tuple(told))


def _sign(good: bool | None) -> str:
    return "skipped" if good is None else "good" if good else "bad"


def _lines(place: Place, track: Track, good: Point, bad: Point, stack: ExitStack) -> Iterator[Line]:
    base = place.catalogue.bases.get(track.lane.base)
    if base is not None and base.git and good.source != bad.source:
        yield _commits(place, track, base, between(base, place.catalogue.root, good.source, bad.source), good.source)
    scenario = place.catalogue.scenarios().get(track.lane.scenario)
    series = place.catalogue.suites[scenario.suite].series if scenario else ""
    if series and track.lane.state == WITH and good.kernel != bad.kernel:
        yield _patches(place, track, series)
    if good.commit and bad.commit and good.commit != bad.commit:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-bisect.")))
        yield _workspaces(place, track, good.commit, bad.commit, scratch)


def _commits(place: Place, track: Track, base: Base, commits: tuple[Commit, ...], good: str) -> Line:
    """The base's commits."""
    name = track.lane.base

    def at(commit: str) -> Callable[[], Place]:
        bases = {**place.catalogue.bases, name: msgspec.structs.replace(base, ref=commit)}
        return lambda: replace(place, catalogue=msgspec.structs.replace(place.catalogue, bases=bases))

    whole = (Commit(good, "the last good one"), *commits)
    return Line(
        f"commits of {name}",
        tuple(Position(each.hash[:12], each.subject, at(each.hash), track.lane.state) for each in whole),
    )


def _patches(place: Place, track: Track, series: str) -> Line:
    """The states of a series, from what it requires on."""
    patches = read_series(place.catalogue.root / "kernel-patches" / series, track.lane.base)
    states = [*(str(number) for number in range(1, len(patches))), WITH]
    first = Position("without", "", lambda: place, WITHOUT)
    rest = [
        Position(f"patch {number}", patch.title, lambda: place, state)
        for number, (patch, state) in enumerate(zip(patches, states, strict=True), 1)
    ]
    return Line(f"patches of {series}", (first, *rest))


def _workspaces(place: Place, track: Track, good: str, bad: str, scratch: Path) -> Line:
    """The workspace's own commits, each in a folder beside it when it is asked for."""
    root = place.workspace.root
    here = Base(title="the workspace", git=str(root))

    def at(commit: str) -> Callable[[], Place]:
        def make() -> Place:
            folder = scratch / commit
            if not folder.exists():
                export(root, commit, folder)
            workspace = replace(place.workspace, root=folder)
            return Place(workspace, load(workspace), place.cache)

        return make

    whole = (Commit(good, "the last good one"), *between(here, root, good, bad))
    return Line(
        "commits of the workspace",
        tuple(Position(each.hash[:12], each.subject, at(each.hash), track.lane.state) for each in whole),
    )


def _try(position: Position, track: Track) -> tuple[bool | None, str]:
    """Whether the case does there what the tip promises; None when it cannot be tried."""
    try:
        place = position.place()
        job, wishes = _job(place, position.state, track)
        met, said = _once(place, job, wishes, track)
        for _ in range(TRIES - 1):
            if met:
                break
            met, said = _once(place, job, replace(wishes, cold=True), track)
    except (BuildError, SeriesError, DeclarationError) as exc:
        return None, exc.message
    return met, said


def _job(place: Place, state: str, track: Track) -> tuple[Job, Wishes]:
    lane = track.lane
    chosen = select(place.catalogue, [f"{lane.scenario}/{track.case}"])
    (job,) = plan(place.catalogue, chosen, Request(base=lane.base, at=(state,)))
    wishes = Wishes(
        accelerator=lane.accel or None, config=tuple(lane.config.split()), environment=tuple(lane.profile.split()),
        notes=(("bisect", f"{lane.scenario}/{track.case}"),),
    )  # fmt: skip
    return job, wishes


def _once(place: Place, job: Job, wishes: Wishes, track: Track) -> tuple[bool, str]:
    argv = ("lab", "run", f"{job.scenario.name}/{job.cases[0]}", "--at", job.states[0].name)
    result = run(place, job, wishes, Quiet(silent), argv, threading.Event()).result
    (case,) = result.cases
    return meets(job.suite.expectation(case.case, track.lane.state), case.outcome), word(case.outcome)
