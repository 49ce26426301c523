"""A review as text, for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.results.text import plain
from harness.review import answers
from harness.review.answers import Standing
from harness.review.matrix import Row, Turn
from harness.review.model import Added, Coverage, Flaky, Patch, Review, Said
from harness.runner.checked import Check, Outcome, Result

MARKS = {Outcome.GOOD: "ok", Outcome.RED: "RED", Outcome.NOT_DONE: "-"}
SIGNS = {"PASS": ".", "FAIL": "F", "ERROR": "E", "MISS": "M", "DONE": "d", "SKIP": "S"}
UNANSWERED = (Standing.OPEN, Standing.CONTRADICTED, Standing.ASTRAY)
LISTED = 12
"""Missed lines, complaints and the like that are listed before it is said how many more there are."""


def table(review: Review) -> str:
    """Everything that a terminal shows, without the end of line."""
    parts = ["\n".join(_head(review)), "\n".join(_patches(review)), "\n".join(_matrix(review))]
    told = (_unmet(review), _remarks(review), list(_answers(review)), numbers(review), list(from_earlier(review)))
    parts += ["\n".join(lines) for lines in told if lines]
    return "\n\n".join(part for part in parts if part)


def _head(review: Review) -> Iterator[str]:
    version = f" v{review.version}" if review.version > 1 else ""
    yield f"{plain(review.title)}{version}   {len(review.patches)} patches on {review.base} ({review.why_base})"
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
    states = columns(review)
    for scenario, group in groupby(review.matrix, key=lambda row: row.scenario):
        rows = list(group)
        width = max(len(row.case) for row in rows) + 4
        heads = "".join(f"{numbered(review, state):>5}" for state in states)
        yield f"{scenario:<{width}}{heads}   found  claimed"
        for row in rows:
            yield f"  {row.case:<{width - 2}}{_cells(row, states)}{_patch_word(review, row.found):>8}" + _claimed(
                review, row
            )
    for state, why in review.not_run:
        yield f"patch {state}: no case was run ({why})"


def _cells(row: Row, states: Sequence[str]) -> str:
    return "".join(f"{SIGNS[row.cells[state].status] if state in row.cells else ' ':>5}" for state in states)


def _patch_word(review: Review, position: int) -> str:
    return numbered(review, str(position)) if position else "-"


def _claimed(review: Review, row: Row) -> str:
    claimed = _patch_word(review, row.claimed) if row.claimed else "-"
    said = row.met and row.turn in (Turn.AS_CLAIMED, Turn.TURNED, Turn.KEPT)
    return f"{claimed:>9}" + ("" if said else f"   {row.turn.value}")


def _unmet(review: Review) -> list[str]:
    found: list[str] = []
    states = columns(review)
    for row in review.matrix:
        if not row.met:
            shown = ", ".join(
                f"{numbered(review, state)}: {row.cells[state].word}" for state in states if state in row.cells
            )
            found.append(f"{row.scenario}/{row.case}: {row.turn.value}: {shown}")
    return found


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


def numbers(review: Review) -> list[str]:
    """Coverage, costs and rates, a line each."""
    found = [coverage_line(review.coverage)] if review.coverage else []
    found += [_cost_line(cost.case, cost.name, cost.before, cost.after) for cost in review.costs]
    found += [_flaky_line(flaky) for flaky in review.flaky if flaky.failed_before or flaky.failed_after]
    steady = [flaky for flaky in review.flaky if not (flaky.failed_before or flaky.failed_after)]
    if steady:
        runs, (_, high) = steady[0].runs, steady[0].after.interval
        cases = "1 case did what it" if len(steady) == 1 else f"{len(steady)} cases did what they"
        found.append(
            f"{cases} must in {runs} of {runs} runs, without the series and with it: failures are rarer than "
            f"{high:.0%} of the time, 19 times of 20"
        )
    return found


def sums(review: Review) -> Iterator[tuple[str, bool]]:
    """Costs and rates in a line each, and whether it is as it should be; ``numbers`` has them one by one."""
    both = [cost for cost in review.costs if cost.before is not None and cost.after is not None]
    changed = [cost for cost in both if cost.before != cost.after]
    if both:
        yield f"{len(changed)} of {len(both)} costs changed with the series", True
    differing = [flaky for flaky in review.flaky if flaky.differs]
    failing = sum(bool(flaky.failed_before or flaky.failed_after) for flaky in review.flaky)
    if review.flaky:
        runs = review.flaky[0].runs
        yield f"{failing} of {len(review.flaky)} cases failed in some of {runs} runs", True
    if differing:
        yield f"{len(differing)} of them more or less often with the series than without it", False


def from_earlier(review: Review) -> Iterator[str]:
    """What was not run for this review, and where it is from."""
    earlier = sorted((ran for ran in review.runs if ran.since), key=lambda ran: ran.scenario)
    for scenario, group in groupby(earlier, key=lambda ran: ran.scenario):
        runs = list(group)
        verdicts, first, last = sum(ran.verdicts for ran in runs), runs[0], runs[-1]
        more = f" to {last.since}, and {len(runs) - 1} more" if len(runs) > 1 else ""
        where = f"results/runs/{first.folder}, {first.since}{more}"
        yield f"from an earlier run: {verdicts} verdicts of {scenario}, {where}"
    if review.coverage and review.coverage.since:
        yield f"from an earlier run: the counts of lines, {review.coverage.since}"
    for state, like in same_kernels(review).items():
        yield f"{_state(review, state)} has the kernel of {_state(review, like)} byte for byte: run once for both"


def same_kernels(review: Review) -> dict[str, str]:
    """States whose cases were not run because another one has the same kernel, each with that other."""
    cells = (cell for row in review.matrix for cell in row.cells.items())
    return {state: cell.like for state, cell in cells if cell.like}


def _state(review: Review, state: str) -> str:
    return "the base" if state == "without" else f"patch {numbered(review, state)}"


def _cost_line(case: str, name: str, before: int | None, after: int | None) -> str:
    numbers = [f"{number:,}" if number is not None else "-" for number in (before, after)]
    ratio = f"  x{after / before:.4f}" if before and after is not None else ""
    return f"{case}, {name}: {numbers[0]} -> {numbers[1]}{ratio}"


def _flaky_line(flaky: Flaky) -> str:
    differs = "the rates differ" if flaky.differs else "no evidence that the rates differ"
    return f"{flaky.scenario}/{flaky.case}: base {flaky.before.words}, tip {flaky.after.words}: {differs}"


def coverage_line(coverage: Coverage) -> str:
    """``412 of 530 added executable lines were run; not run: fs/a.c:10-12 (f), ...``"""
    if not coverage.lines:
        return "no added executable line: " + ", ".join(f"{name} ({why})" for name, why in coverage.not_measured)
    line = f"{coverage.run} of {len(coverage.lines)} added executable lines were run"
    missed = list(ranges(coverage.missed))
    if not missed:
        return line
    more = f", and {len(missed) - LISTED} more places" if len(missed) > LISTED else ""
    return f"{line}; not run: {', '.join(missed[:LISTED])}{more}"


def ranges(lines: Sequence[Added]) -> Iterator[str]:
    """Lines that follow each other in one function as one: ``fs/a.c:10-12 (f)``. Blank lines between do not count."""
    block: list[Added] = []
    for line in (*lines, None):
        if block and (line is None or not _follows(block[-1], line)):
            first, last = block[0], block[-1]
            place = f"{first.file}:{first.line}" + (f"-{last.line}" if last.line != first.line else "")
            yield f"{place} ({first.function})" if first.function else place
            block = []
        if line is not None:
            block.append(line)


def _follows(before: Added, line: Added) -> bool:
    return (line.file, line.function) == (before.file, before.function) and line.line - before.line <= 3
