"""The report: one page that needs nothing else, for a phone as for a desk."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

from harness.results import page
from harness.review import answers, figures, text, view
from harness.review.matrix import GOOD_TURNS, Cell, Row, found_against_claimed
from harness.review.model import Ran, Review

FOLDER = "harness.review"


def render(review: Review) -> str:
    """The page."""
    return page.render(
        "report.html.j2",
        folder=FOLDER,
        title=review.title or "a series",
        review=review,
        states=text.columns(review),
        numbered=partial(text.numbered, review),
        checks=text.checks_of(review),
        told=text.told,
        counted=figures.counted,
        files=partial(view.files, review),
        remarks_on=lambda patch: sum(said.number == patch.number for said in review.remarks),
        general=partial(view.general, review),
        coverage=figures.coverage_line(review.coverage) if review.coverage else "",
        lines_run=partial(view.lines_run, review),
        sums=list(figures.sums(review)),
        missed=list(figures.ranges(review.coverage.missed)) if review.coverage else [],
        answered=lambda said: answers.to(said.text, review.answers),
        standings=Counter(each.standing for each in review.answers),
        earlier=list(text.from_earlier(review)),
        earlier_runs=text.earlier_runs(review) if len(text.earlier_runs(review)) > text.FEW else [],
        stories=partial(_stories, review),
        turns=found_against_claimed(review.matrix),
        good_turns=GOOD_TURNS,
        summed=partial(_summed, review),
        again=shlex.join(review.argv),
        facts=_facts(review),
    )


def _summed(review: Review, rows: Sequence[Row]) -> str:
    """What became of a scenario's cases, in a line: ``7 as claimed (patches 7, 8), 4 kept``."""
    return ", ".join(
        f"{count} {turn.value}" + _by(review, [row for row in rows if row.turn is turn])
        for turn, count in found_against_claimed(rows).items()
    )


def _stories(review: Review, row: Row) -> Iterator[tuple[str, Cell]]:
    """What is to be told of a case: where it was not as it must be at the tip, or the kernel complained.

    What was the same over several patches is told once, of the last of them.
    """
    told = [(state, cell) for state, cell in row.cells.items() if not cell.good or cell.splats]
    for _, group in groupby(told, key=lambda each: (each[1].word, each[1].splats)):
        same = list(group)
        first, last = (text.numbered(review, state) for state in (same[0][0], same[-1][0]))
        yield f"{first} to {last}" if first != last else first, same[-1][1]


def _by(review: Review, rows: Sequence[Row]) -> str:
    patches = [text.numbered(review, str(number)) for number in sorted({row.found for row in rows if row.found})]
    return f" ({'patch' if len(patches) == 1 else 'patches'} {', '.join(patches)})" if patches else ""


def _runs(review: Review) -> str:
    """The first run folder of each scenario, and how many more there are (for rates, and of earlier reviews)."""
    by_scenario: dict[str, list[Ran]] = {}
    for ran in review.runs:
        by_scenario.setdefault(ran.scenario, []).append(ran)
    return ", ".join(
        runs[0].folder
        + (f" (an earlier run, {runs[0].since})" if runs[0].since else "")
        + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")
        for runs in by_scenario.values()
    )


def _facts(review: Review) -> list[tuple[str, str]]:
    """The environment, in rows."""
    tools = review.tools
    return [
        ("base", f"{review.base} ({review.why_base})"),
        ("kernels", ", ".join(dict.fromkeys(f"{kernel.label} {kernel.key[:6]}" for kernel in review.kernels))),
        ("compiler", tools.compiler),
        ("QEMU", tools.qemu),
        ("accelerator", review.accel),
        ("host", " ".join(filter(None, (tools.host, tools.host_kernel)))),
        ("sandbox", "bubblewrap" if review.sandbox and review.sandbox.used else "none"),
        ("runs", _runs(review)),
        ("message", review.message_id),
        ("written", review.created),
    ]
