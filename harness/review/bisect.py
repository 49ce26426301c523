"""Which patch of a series turned a case: a binary search over its states. A kernel is built when it is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.catalogue.load import select
from harness.errors import BuildError, UserError
from harness.plan import WITH, WITHOUT, Job, Request, plan
from harness.results.text import word
from harness.review.desk import Desk
from harness.review.recall import run_once
from harness.runner.prepare import Wishes
from harness.runner.run import Watcher
from harness.verdict.judge import meets
from harness.verdict.search import search


@dataclass(frozen=True)
class Step:
    """A state that was asked about. ``good``: the case does what it must do at the tip; None: it could not be run."""

    name: str
    good: bool | None
    word: str


@dataclass(frozen=True)
class Answer:
    """What the search came to. ``first`` and ``last`` are the positions between which the case turned."""

    steps: tuple[Step, ...]
    words: str
    found: int = 0


def find(desk: Desk, pattern: str, wishes: Wishes, watcher: Watcher, argv: tuple[str, ...]) -> Answer:
    """The patch that turned a case. Raises UserError when the pattern is not one case."""
    chosen = select(desk.place.catalogue, [pattern])
    if len(chosen) != 1 or len(next(iter(chosen.values()))) != 1:
        raise UserError(f"--bisect {pattern}: that is not one case", hint="SCENARIO/CASE, without wildcards")
    steps: dict[int, Step] = {}

    def ask(position: int) -> bool | None:
        if position not in steps:
            steps[position] = _ask(desk, pattern, position, wishes, watcher, argv)
        return steps[position].good

    count = len(desk.patches)
    found = search(count, ask)
    return Answer(tuple(steps[position] for position in sorted(steps)), _words(desk, found, steps), _position(found))


def _ask(desk: Desk, pattern: str, position: int, wishes: Wishes, watcher: Watcher, argv: tuple[str, ...]) -> Step:
    count = len(desk.patches)
    state = WITHOUT if position == 0 else WITH if position == count else str(position)
    name = state if position == 0 else f"patch {desk.numbers[position - 1]}"
    try:
        job = _job(desk, pattern, state)
        [verdict] = run_once(desk.place, job, wishes, watcher, argv).verdicts
    except BuildError as exc:
        return Step(name, None, exc.message)
    outcome = verdict.result.outcome
    good = meets(job.suite.expectation(verdict.result.case, WITH), outcome)
    return Step(name, good, word(outcome) + (f"   (from {verdict.run})" if verdict.since else ""))


def _job(desk: Desk, pattern: str, state: str) -> Job:
    request = Request(base=desk.base, series=desk.name, at=(state,))
    [job] = plan(desk.place.catalogue, select(desk.place.catalogue, [pattern]), request)
    return job


def _position(found: tuple[int, int] | bool | None) -> int:
    return found[1] if isinstance(found, tuple) else 0


def _words(desk: Desk, found: tuple[int, int] | bool | None, steps: Mapping[int, Step]) -> str:
    if found is None:
        return "one end of the series cannot be run: nothing can be searched for between"
    if not isinstance(found, tuple):
        return f"nothing turned it: it is {'green' if found else 'red'} without the series and with it"
    old, new = found
    kind = "green" if steps[new].good else "red"
    first, last = desk.numbers[old], desk.numbers[new - 1]
    title = desk.patches[new - 1].title
    if first == last:
        return f"turned {kind} by patch {last}: {title}"
    return f"turned {kind} by one of the patches {first} to {last}: those before {last} cannot be run"
