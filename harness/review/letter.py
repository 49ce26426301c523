"""A review as the mail to send below the series: what was run on what, what came out patch by patch. Pure."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.results.text import plain
from harness.review.figures import LISTED, numbers
from harness.review.matrix import Turn
from harness.review.model import Patch, Review
from harness.review.text import UNANSWERED, course, numbered, told
from harness.runner.checked import Outcome, Result

WIDTH = 68
"""Characters of a line, without what it is indented by."""


def mail(review: Review, tester: str = "") -> str:
    """The reply. ``tester`` is who gives the ``Tested-by:``, if all is as promised; never otherwise."""
    parts = (_ran_on(review), _patches(review), _turned(review), _numbers(review), _open(review), _end(review, tester))
    return "\n\n".join(text for part in parts if (text := "\n".join(part))) + "\n"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="", subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _ran_on(review: Review) -> Iterator[str]:
    tools = f"{review.tools.compiler or 'gcc'}, {review.tools.qemu.partition('(')[0].strip() or 'QEMU'}"
    cases = len(review.ran)
    scenarios = ", ".join(dict.fromkeys(row.scenario for row in review.ran))
    counted = f"{cases} {'case' if cases == 1 else 'cases'}"
    text = f"I ran this series with lab on {review.base} ({tools}, {review.accel.partition(' ')[0] or 'tcg'})"
    text += f", {counted} at every patch, each in a guest of its own: {scenarios}." if cases else ", no test cases."
    yield from _wrapped(text)
    earlier = [ran.since for ran in review.runs if ran.since]
    if earlier:
        yield from _wrapped(f"{_days(earlier)} among them are from earlier runs of the very same kernels and guests.")


def _days(times: Sequence[str]) -> str:
    days = sorted({time.partition("T")[0] for time in times})
    return f"Results of {' and '.join(days)}"


def _patches(review: Review) -> Iterator[str]:
    """Good patches that follow each other in one line, each other one with its story."""
    for good, group in groupby(review.patches, key=_all_good):
        patches = list(group)
        if good:
            yield from _wrapped(f"{_name(review, patches)} {', '.join(good)}: good", "    ")
        else:
            for patch in patches:
                yield from _story(review, patch)


def _all_good(patch: Patch) -> tuple[str, ...]:
    """Its checks when none is red, and something was checked."""
    if patch.refused or any(result.outcome is Outcome.RED for result in patch.results):
        return ()
    return tuple(result.check.value for result in patch.results if result.outcome is Outcome.GOOD)


def _name(review: Review, patches: Sequence[Patch]) -> str:
    of = max(patch.number for patch in review.patches)
    first, last = patches[0].number, patches[-1].number
    return f"[{first}/{of}]" if first == last else f"[{first}-{last}/{of}]"


def _story(review: Review, patch: Patch) -> Iterator[str]:
    yield f"{_name(review, [patch])} {plain(patch.title)}"
    if patch.refused:
        yield "    does not apply:"
        yield from _indented(patch.refused.splitlines())
    for result in patch.results:
        if result.outcome is Outcome.RED:
            yield from _red(result)


def _red(result: Result) -> Iterator[str]:
    yield f"    {result.check.value}:"
    yield from _indented(told(result))


def _indented(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"        {plain(line)}" for line in lines[:LISTED])
    if len(lines) > LISTED:
        yield f"        ({len(lines) - LISTED} more lines)"


def _turned(review: Review) -> Iterator[str]:
    """Which patch turned what; then what did not go as promised."""
    for position in range(1, len(review.patches) + 1):
        turned = [row for row in review.turned_by(position) if row.met]
        if turned:
            yield f"Patch {numbered(review, str(position))} turns {len(turned)} from red to green:"
            for scenario, rows in groupby(turned, key=lambda row: row.scenario):
                cases = _wrapped(f"{scenario}: {', '.join(row.case for row in rows)}", "    ")
                yield from (f"    {line}" for line in cases)
    kept = sum(row.turn is Turn.KEPT for row in review.matrix)
    if kept:
        yield f"{kept} {'does' if kept == 1 else 'do'} at every patch what the base does."
    for row in review.matrix:
        if not row.met:
            yield f"NOT as expected ({row.turn.value}): {row.scenario}/{row.case}"
            yield from _wrapped(f"    {course(review, row)}", "    ")
            last = next(reversed(row.cells.values()))
            yield from (f"    {plain(line)}" for line in last.message.splitlines()[:LISTED])
    for state, why in review.not_run:
        yield f"At patch {state} no case was run: {why}."


def _numbers(review: Review) -> Iterator[str]:
    for line in numbers(review):
        yield from _wrapped(line, "    ")


def _open(review: Review) -> Iterator[str]:
    """Earlier remarks without an answer."""
    for each in review.answers:
        if each.standing in UNANSWERED:
            note = f" ({each.note})" if each.note else ""
            yield from _wrapped(f"Said before, {each.standing.value}{note}: {plain(each.remark)}", "    ")


def _end(review: Review, tester: str) -> Iterator[str]:
    if review.tested:
        yield f"Tested-by: {tester}" if tester else "All is as promised."
        yield ""
    yield "Again: " + shlex.join(review.argv)
