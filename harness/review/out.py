"""What a review leaves: review.json and its readers' forms, in a folder of results/reviews."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.catalogue.model import Status
from harness.results import files, index, kcidb
from harness.results.junit import legal
from harness.results.run import now, to_json
from harness.review import html, letter, text
from harness.review.matrix import Turn
from harness.review.model import Patch, Ran, Review
from harness.review.posting import SLUG
from harness.runner.checked import Check, Outcome, Result

NAME = 48
"""Characters of a title in a folder's name."""


def publish(reviews: Path, review: Review, tester: str = "") -> Path:
    """Write a review's folder; review.json last, so that what has one is complete. Raises InfraError."""
    folder = _new(reviews, review)
    written = {
        "report.html": html.render(review),
        "reply.txt": letter.mail(review, tester),
        "junit.xml": junit(review),
    }
    for name, content in written.items():
        files.write(folder / name, files.encode(content))
    files.write(folder / "kcidb.json", submission(review, reviews.parent / "runs").json())
    files.write(folder / "review.json", to_json(review), durable=True)
    return folder


def _new(reviews: Path, review: Review) -> Path:
    base = f"{now().strftime('%Y%m%dT%H%M%SZ')}-{SLUG.sub('-', review.title)[:NAME].strip('-')}"
    with files.told(reviews):
        reviews.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = reviews / (base if number == 1 else f"{base}-{number}")
            with contextlib.suppress(FileExistsError):  # another lab's review, of this second
                folder.mkdir()
                return folder
    raise AssertionError("numbers do not end")


def junit(review: Review) -> str:
    """A suite for each patch with its checks, and one for the cases with what became of them."""
    document: Any = JUnitXml(legal(review.title))
    for patch in review.patches:
        suite = TestSuite(legal(f"patch {patch.number}: {patch.title}"))
        for result in _results(patch):
            suite.add_testcase(_check(patch, result))
        document.add_testsuite(suite)
    cases = TestSuite("cases")
    for row in review.matrix:
        entry: Any = TestCase(legal(row.case), legal(row.scenario))
        if not row.met:
            last = next(reversed(row.cells.values()))
            entry.result = [Failure(legal(f"{row.turn.value}: {last.word}"), row.turn.value)]
        elif row.turn is Turn.APART:
            entry.result = [Skipped(legal(next(reversed(row.cells.values())).message or row.turn.value))]
        cases.add_testcase(entry)
    document.add_testsuite(cases)
    document.update_statistics()
    written: bytes = document.tostring()
    return written.decode()


def _results(patch: Patch) -> tuple[Result, ...]:
    if patch.refused:
        return (Result(Check.APPLY, Outcome.RED, patch.refused),)
    return patch.results


def _check(patch: Patch, result: Result) -> Any:
    entry: Any = TestCase(result.check.value, legal(f"patch {patch.number}"), result.seconds)
    if result.outcome is Outcome.RED:
        entry.result = [Failure(legal("\n".join(text.told(result))), result.check.value)]
    elif result.outcome is Outcome.NOT_DONE:
        entry.result = [Skipped(legal(result.note))]
    return entry


def _ran(review: Review, ran: Ran, runs: Path) -> Iterator[kcidb.Ran]:
    """A run as far as the review's matrix is made of it: a run of an earlier review may hold more."""
    entry = index.entry(runs / ran.folder)
    if entry.manifest is None or entry.result is None:
        return
    used = {cell.where for row in review.matrix for cell in row.cells.values()}
    cases = tuple(case for case in entry.result.cases if f"{ran.folder}/{case.folder}" in used)
    if cases:
        yield kcidb.Ran(entry.name, entry.manifest, msgspec.structs.replace(entry.result, cases=cases))


def submission(review: Review, runs: Path) -> kcidb.Document:
    """The review for KCIDB: its runs; of a patch at which no case was run, whether it applies and builds."""
    ran = [found for each in review.runs for found in _ran(review, each, runs)]
    states = {state for row in review.matrix for state in row.cells}
    alone = [patch for patch in review.patches if _results(patch) and str(review.position(patch)) not in states]
    checkouts = tuple(_checkout(review, patch) for patch in alone)
    builds = tuple(build for patch in alone if (build := _build(review, patch)))
    return kcidb.document(ran, extra=kcidb.Document(checkouts=checkouts, builds=builds))


def _of(patch: Patch, check: Check) -> Result | None:
    return next((each for each in _results(patch) if each.check is check), None)


def _id(review: Review, patch: Patch) -> str:
    return kcidb.checkout_id("lab", review.base, [review.title], f"{review.version} {patch.number}")


def _checkout(review: Review, patch: Patch) -> kcidb.Checkout:
    applied = _of(patch, Check.APPLY)
    wrong = applied is not None and applied.outcome is Outcome.RED
    return kcidb.Checkout(
        id=_id(review, patch), origin="lab", tree_name=review.base,
        comment=kcidb.clean(f"{review.title}: patch {patch.number}"),
        message_id=patch.message_id if "@" in patch.message_id else "", valid=not wrong,
        log_excerpt=kcidb.clean(applied.note) if applied and wrong else "", start_time=review.created,
    )  # fmt: skip


def _build(review: Review, patch: Patch) -> kcidb.Build | None:
    result = _of(patch, Check.BUILD)
    if result is None or result.outcome is Outcome.NOT_DONE:
        return None
    own = _id(review, patch)
    return kcidb.Build(
        id=f"{own}-build", checkout_id=own, origin="lab", architecture="x86_64",
        status=Status.PASS if result.outcome is Outcome.GOOD else Status.FAIL,
        compiler=review.tools.compiler, log_excerpt=kcidb.clean(result.note), config_name="lab",
    )  # fmt: skip
