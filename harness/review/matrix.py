"""Case by patch: what each case does at each state, which patch turned it, and whether that one claims it. Pure.

A suite says from which patch on a case must do what it does at the tip (``green_from``, a patch's subject). Before that
patch it must not do it yet, unless it does so without the series too: then nothing may change on the way.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from harness.catalogue.model import Status, Suite
from harness.plan import WITH, WITHOUT
from harness.results.model import CaseResult
from harness.results.text import word
from harness.verdict.judge import meets


class Turn(StrEnum):
    """What became of a case over the series."""

    AS_CLAIMED = "as claimed"  # by the patch that claims it
    TURNED = "turned"  # by some patch, and no one claims it
    KEPT = "kept"  # does without the series what it does with it, and at every patch between
    EARLY = "early"  # before the patch that claims it
    LATE = "late"  # after it
    BROKEN = "broken"  # kept at both ends, not between
    BACK = "back and forth"  # there, then gone, then there
    NEVER = "never"  # not at the tip
    UNKNOWN = "not run at the tip"
    APART = "not for this filesystem"


GOOD_TURNS = (Turn.AS_CLAIMED, Turn.TURNED, Turn.KEPT, Turn.APART)


class Cell(msgspec.Struct, frozen=True):
    """A case in a state. ``good`` is whether it does what it must do at the tip; ``where`` its folder in the results.

    ``splats`` are the kernel's complaints, as lines. ``since`` is when an earlier run found it out; ``like`` the state
    that was run in its place, whose kernel is the same byte for byte.
    """

    status: Status
    word: str
    good: bool
    where: str = ""
    message: str = ""
    splats: tuple[tuple[str, ...], ...] = ()
    since: str = ""
    like: str = ""


class Row(msgspec.Struct, frozen=True):
    """A case: its cells by state (``without``, ``1`` ... the last patch), the patch that turned it, and its claimant.

    0 is no patch. ``met`` is whether all promises were kept: without the series, at the tip, and of the claim.
    """

    scenario: str
    case: str
    title: str
    cells: dict[str, Cell]
    turn: Turn
    found: int = 0
    claimed: int = 0
    met: bool = True


def claimed_by(suite: Suite, case: str) -> str:
    """The pattern of the subject that a case must turn at, "" for none."""
    return suite.cases[case].green_from or suite.green_from


def claim(suite: Suite, case: str, titles: Sequence[str]) -> int:
    """The number of the patch that claims a case, 0 when none does. ``titles`` are the patches' subjects in order."""
    pattern = claimed_by(suite, case)
    if not pattern:
        return 0
    return next((number for number, title in enumerate(titles, 1) if fnmatch.fnmatchcase(title, pattern)), 0)


def states(count: int, missing: Sequence[int] = ()) -> list[str]:
    """The states of a review, as ``lab run --at`` has them: without, each patch but those missing, with."""
    middle = [str(number) for number in range(1, count) if number not in missing]
    return [WITHOUT, *middle, *([] if count in missing else [WITH])]


def column(state: str, count: int) -> str:
    """The matrix's name of a state: the tip is its last patch."""
    return str(count) if state == WITH else state


def row(scenario: str, suite: Suite, case: str, results: Sequence[CaseResult], titles: Sequence[str]) -> Row:
    """A case's row from its results in all states. ``titles`` are the patches' subjects."""
    count = len(titles)
    by_state = {column(result.state, count): result for result in results}
    cells = {state: _cell(suite, case, result) for state, result in by_state.items()}
    if all(_is_apart(result) for result in results):
        return Row(scenario, case, suite.cases[case].title, cells, Turn.APART)
    kept = _kept(suite, case)
    claimed = 0 if kept else claim(suite, case, titles)
    turn, found = _turn({_number(state): cell.good for state, cell in cells.items()}, count, claimed, kept)
    promised = all(result.met is not False for result in results)
    return Row(scenario, case, suite.cases[case].title, cells, turn, found, claimed, promised and turn in GOOD_TURNS)


def _is_apart(result: CaseResult) -> bool:
    """Whether a case was left out as its suite wants it on this filesystem: that is what is then expected."""
    wanted = result.expected
    return wanted is not None and wanted.status is result.outcome.status is Status.SKIP


def _cell(suite: Suite, case: str, result: CaseResult) -> Cell:
    outcome = result.outcome
    return Cell(
        outcome.status,
        word(outcome),
        meets(suite.expectation(case, WITH), outcome),
        result.folder,
        outcome.message,
        tuple(splat.excerpt for splat in outcome.splats),
    )


def _kept(suite: Suite, case: str) -> bool:
    """Whether the series is not to change the case."""
    return suite.expectation(case, WITHOUT) == suite.expectation(case, WITH)


def _number(state: str) -> int:
    return 0 if state == WITHOUT else int(state)


def _turn(good: Mapping[int, bool], count: int, claimed: int, kept: bool) -> tuple[Turn, int]:
    """What became of it, and the first patch from which on it is good to the end (0: from the beginning, or never)."""
    if count not in good:
        return Turn.UNKNOWN, 0
    if not good[count]:
        return Turn.NEVER, 0
    seen = sorted(good)
    bad = [number for number in seen if not good[number]]
    if not bad:
        return (Turn.KEPT if kept or not claimed else Turn.EARLY), 0
    first_good = next(number for number in seen if good[number])
    found = next(number for number in seen if number > bad[-1])
    if kept:
        return Turn.BROKEN, found
    if first_good < bad[-1]:
        return Turn.BACK, found
    if not claimed or found == claimed:
        return (Turn.AS_CLAIMED if claimed else Turn.TURNED), found
    # A claim at a patch whose kernel could not be run may have been kept there.
    if found > claimed and all(number not in good for number in range(claimed, found)):
        return Turn.AS_CLAIMED, found
    return (Turn.EARLY if found < claimed else Turn.LATE), found


def found_against_claimed(rows: Sequence[Row]) -> Mapping[Turn, int]:
    """How many cases became what."""
    return {turn: sum(row.turn is turn for row in rows) for turn in Turn if any(row.turn is turn for row in rows)}
