"""The figures of a review as lines: coverage, costs, rates. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.review.model import Added, Coverage, Flaky, Review

LISTED = 12
"""Missed lines, complaints and the like that are listed before it is said how many more there are."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 patch``, ``2 patches``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


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
