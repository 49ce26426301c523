"""A review as text, for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.results.text import plain
from harness.review import answers
from harness.review.answers import Standing
from harness.review.figures import LISTED, counted, numbers
from harness.review.matrix import Row, Turn
from harness.review.model import Patch, Review, Said
from harness.runner.checked import Check, Outcome, Result

MARKS = {Outcome.GOOD: "ok", Outcome.RED: "RED", Outcome.NOT_DONE: "-"}
SIGNS = {"PASS": ".", "FAIL": "F", "ERROR": "E", "MISS": "M", "DONE": "d", "SKIP": "S"}
UNANSWERED = (Standing.OPEN, Standing.CONTRADICTED, Standing.ASTRAY)
FEW = 4
"""Scenarios whose earlier runs are told one by one."""
WIDE = 12
"""Columns of the matrix beyond which states that are the same in every row share one."""


def table(review: Review) -> str:
    """Everything that a terminal shows, without the end of line."""
    parts = ["\n".join(_head(review)), "\n".join(_patches(review)), "\n".join(_matrix(review))]
    told = (_unmet(review), _remarks(review), list(_answers(review)), numbers(review), list(from_earlier(review)))
    parts += ["\n".join(lines) for lines in told if lines]
    return "\n\n".join(part for part in parts if part)


def _head(review: Review) -> Iterator[str]:
    version = f" v{review.version}" if review.version > 1 else ""
    patches = counted(len(review.patches), "patch", "patches")
    yield f"{plain(review.title)}{version}   {patches} on {review.base} ({review.why_base})"
    yield from (f"  {plain(note)}" for note in review.notes)


def _patches(review: Review) -> Iterator[str]:
    checks = checks_of(review)
    if not checks:
        return
    yield "    " + "".join(f"{check.value:>10}" for check in checks) + "  patch"
    for patch in review.patches:
        marks = "".join(f"{_mark(patch, check):>10}" for check in checks)
        yield f"{patch.number:4}{marks}  {plain(patch.title)}"
    for patch in review.patches:
        yield from _story(patch)


def checks_of(review: Review) -> list[Check]:
    """The checks that were asked for, in their order."""
    there = {result.check for patch in review.patches for result in patch.results}
    return [check for check in Check if check in there]


def _mark(patch: Patch, check: Check) -> str:
    if patch.refused:
        return "RED" if check is Check.APPLY else "-"
    result = next((each for each in patch.results if each.check is check), None)
    return MARKS[result.outcome] if result else ""


def _story(patch: Patch) -> Iterator[str]:
    """What is red of a patch, the first lines of each."""
    if patch.refused:
        yield f"patch {patch.number}: does not apply"
        yield from (f"    {plain(line)}" for line in patch.refused.splitlines())
    for result in patch.results:
        if result.outcome is Outcome.RED:
            yield f"patch {patch.number}: {result.check.value}"
            yield from (f"    {plain(line)}" for line in told(result)[:LISTED])


def told(result: Result) -> list[str]:
    """A red result in lines."""
    return [finding.shown for finding in result.open] or result.note.splitlines()


def columns(review: Review) -> list[str]:
    """The matrix's states: without, then the patches that have a kernel."""
    seen = dict.fromkeys(state for row in review.matrix for state in row.cells)
    return sorted(seen, key=lambda state: -1 if state == "without" else int(state))


def numbered(review: Review, state: str) -> str:
    """A column's head: the patch's number in the mails."""
    applied = [patch.number for patch in review.patches if not patch.refused]
    return "base" if state == "without" else str(applied[int(state) - 1])


def _matrix(review: Review) -> Iterator[str]:
    spans = list(_spans(review))
    for scenario, group in groupby(review.matrix, key=lambda row: row.scenario):
        rows = list(group)
        width = max(len(row.case) for row in rows) + 4
        heads = "".join(f"{head:>{_width(head)}}" for head, _ in spans)
        yield f"{scenario:<{width}}{heads}   found  claimed"
        for row in rows:
            yield f"  {row.case:<{width - 2}}{_cells(row, spans)}{_patch_word(review, row.found):>8}" + _claimed(
                review, row
            )
    for state, why in review.not_run:
        yield f"patch {state}: no case was run ({why})"


def _spans(review: Review) -> Iterator[tuple[str, str]]:
    """The columns, each a head and a state. Of many, neighbours that are the same in all rows are one."""
    states = columns(review)
    if len(states) <= WIDE:
        yield from ((numbered(review, state), state) for state in states)
        return
    for _, group in groupby(
        states, key=lambda state: (state == states[0], [_sign(row, state) for row in review.matrix])
    ):
        same = list(group)
        yield "-".join(dict.fromkeys(numbered(review, state) for state in (same[0], same[-1]))), same[0]


def _width(head: str) -> int:
    return max(5, len(head) + 1)


def _sign(row: Row, state: str) -> str:
    return SIGNS[row.cells[state].status] if state in row.cells else " "


def _cells(row: Row, spans: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{_sign(row, state):>{_width(head)}}" for head, state in spans)


def _patch_word(review: Review, position: int) -> str:
    return numbered(review, str(position)) if position else "-"


def _claimed(review: Review, row: Row) -> str:
    claimed = _patch_word(review, row.claimed) if row.claimed else "-"
    said = row.met and row.turn in (Turn.AS_CLAIMED, Turn.TURNED, Turn.KEPT)
    return f"{claimed:>9}" + ("" if said else f"   {row.turn.value}")


def _unmet(review: Review) -> list[str]:
    return [
        f"{row.scenario}/{row.case}: {row.turn.value}: {course(review, row)}" for row in review.matrix if not row.met
    ]


def course(review: Review, row: Row) -> str:
    """What a case did on its way: ``base-8: FAIL (EBADF), 9-10: PASS``."""
    states = [state for state in columns(review) if state in row.cells]
    found = []
    for word, group in groupby(states, key=lambda state: row.cells[state].word):
        names = [numbered(review, state) for state in group]
        found.append(f"{'-'.join(dict.fromkeys((names[0], names[-1])))}: {word}")
    return ", ".join(found)


def _remarks(review: Review) -> list[str]:
    return [
        f"remark on patch {said.number or 'all'}, {said.place}: {plain(said.text.splitlines()[0])}"
        + _answer_word(review, said)
        for said in review.remarks
    ]


def _answer_word(review: Review, said: Said) -> str:
    """What became of a remark, if the series tells of any."""
    if not review.answers:
        return ""
    found = answers.to(said.text, review.answers)
    return f"   [{'; '.join(dict.fromkeys(each.standing.value for each in found)) or 'no answer to it'}]"


def _answers(review: Review) -> Iterator[str]:
    """How many remarks are answered, and each that is not."""
    if not review.answers:
        return
    counts = Counter(each.standing for each in review.answers)
    told = ", ".join(f"{counts[standing]} {standing.value}" for standing in Standing if counts[standing])
    yield f"{len(review.answers)} remarks that the series tells of: {told}"
    for each in review.answers:
        if each.standing in UNANSWERED:
            note = f" ({each.note})" if each.note else ""
            yield f"  {each.standing.value}{note}: {plain(each.remark)}"


def from_earlier(review: Review) -> Iterator[str]:
    """What was not run for this review, and where it is from; of many scenarios in a line."""
    runs = earlier_runs(review)
    if len(runs) > FEW:
        earlier = [ran for ran in review.runs if ran.since]
        verdicts, times = sum(ran.verdicts for ran in earlier), sorted(ran.since for ran in earlier)
        yield f"from earlier runs: {verdicts} verdicts of {len(runs)} scenarios, {times[0]} to {times[-1]}"
    else:
        yield from runs
    if review.coverage and review.coverage.since:
        yield f"from an earlier run: the counts of lines, {review.coverage.since}"
    for state, like in same_kernels(review).items():
        yield f"{_state(review, state)} has the kernel of {_state(review, like)} byte for byte: run once for both"


def earlier_runs(review: Review) -> list[str]:
    """The verdicts of earlier runs, a line a scenario."""
    found = []
    earlier = sorted((ran for ran in review.runs if ran.since), key=lambda ran: ran.scenario)
    for scenario, group in groupby(earlier, key=lambda ran: ran.scenario):
        runs = list(group)
        verdicts, first, last = sum(ran.verdicts for ran in runs), runs[0], runs[-1]
        more = f" to {last.since}, and {len(runs) - 1} more" if len(runs) > 1 else ""
        where = f"results/runs/{first.folder}, {first.since}{more}"
        found.append(f"from an earlier run: {verdicts} verdicts of {scenario}, {where}")
    return found


def same_kernels(review: Review) -> dict[str, str]:
    """States whose cases were not run because another one has the same kernel, each with that other."""
    cells = (cell for row in review.matrix for cell in row.cells.items())
    return {state: cell.like for state, cell in cells if cell.like}


def _state(review: Review, state: str) -> str:
    return "the base" if state == "without" else f"patch {numbered(review, state)}"
