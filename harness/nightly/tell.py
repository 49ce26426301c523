"""A morning in the formats people and programs read: text and HTML fit for a mail, JUnit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.nightly.morning import Morning, Story
from harness.results.page import render, seconds
from harness.results.text import plain

FOLDER = "harness.nightly"


def text(morning: Morning) -> str:
    """The summary as text, lines of at most about 100 characters."""
    return plain("\n".join(_lines(morning))) + "\n"


def _lines(morning: Morning) -> Iterator[str]:
    plan = morning.plan
    yield f"{plan.title}: {morning.headline}"
    yield f"{plan.name}, {seconds(morning.seconds)} on {plan.where}" + (
        f", commit {plan.commit[:12]}" if plan.commit else ""
    )
    yield from (f"  {line}" for line in morning.conditions)
    yield from _section(
        "regressions, bisected", [f"{each.what}\n    {each.culprit} {each.subject}" for each in morning.bisects]
    )
    yield from _section("not as promised", ["\n".join(_story(story)) for story in morning.stories])
    yield from _section("not run", [f"{each.name}: {each.whose}: {each.error}" for each in morning.not_run])
    yield ""
    width = max(len(row.cell) for row in morning.rows)
    for row in morning.rows:
        counts = ", ".join(f"{count} {word}" for word, count in row.counts.items())
        yield f"  {row.word:8} {row.cell:<{width}}  {seconds(row.seconds):>7}  {row.error or counts}".rstrip()
    yield from _section("left out", [f"{each.cell}: {each.reason}" for each in morning.left_out])


def _section(title: str, blocks: list[str]) -> Iterator[str]:
    if blocks:
        yield ""
        yield f"{title}:"
        for block in blocks:
            yield from (f"  {line}" for line in block.splitlines())


def _story(story: Story) -> Iterator[str]:
    point = story.point
    yield f"{story.judged.word}  {story.name}  ({point.lane.words}): {point.word}, wanted {point.wanted}"
    yield f"    {story.judged.rate.words}; {story.standing} over all nights"
    if story.last_good:
        yield f"    last good {story.last_good.started} on {story.last_good.label} ({story.last_good.kernel[:6]})"
    yield from (f"    {each.title} [{each.fingerprint}] {each.news}" for each in story.complaints)
    yield from (f"    | {line}" for line in story.said.splitlines()[:8])
    yield f"    {point.run}/{point.where}"
    yield f"    {story.reproduce}"


def html(morning: Morning) -> str:
    """The summary as one page without anything beside it."""
    return render("night.html.j2", folder=FOLDER, title=f"{morning.plan.title}: {morning.headline}", morning=morning)


def junit(morning: Morning) -> str:
    """JUnit XML: a suite for each cell; flaky and failed fail, known ones are skipped with their reason."""
    from junitparser import Error, JUnitXml, TestCase, TestSuite

    from harness.results.junit import legal

    document: Any = JUnitXml(legal(morning.plan.title))
    for row in morning.rows:
        suite = TestSuite(legal(row.cell))
        for judged in morning.judged:
            if judged.points[0].job == row.cell:
                suite.add_testcase(_junit_case(judged))
        if row.error:
            entry: Any = TestCase("not run", legal(row.cell))
            entry.result = [Error(legal(row.error), "not-run")]
            suite.add_testcase(entry)
        document.add_testsuite(suite)
    document.update_statistics()
    written: bytes = document.tostring()
    return written.decode()


def _junit_case(judged: Any) -> Any:
    from junitparser import Failure, Skipped, TestCase

    from harness.results.junit import legal

    point = judged.first
    entry: Any = TestCase(
        legal(point.case), legal(f"{point.lane.scenario}.{point.lane.state}"), round(point.duration, 3)
    )
    told = legal(f"{judged.word}: {point.word}; wanted {point.wanted}; {judged.rate.words}")
    if judged.word in ("failed", "flaky"):
        entry.result = [Failure(told, str(judged.word))]
    elif judged.word == "known":
        entry.result = [Skipped(told)]
    if point.message:
        entry.system_out = legal(point.message)
    return entry
