"""Verdicts that are known: what is run at all, and what a verdict says of where it is from."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from harness.cache import Cache
from harness.catalogue.model import Case, Expectation, Kind, Scenario, Status, Suite
from harness.plan import WITH, WITHOUT, Job, State
from harness.results.model import CaseResult
from harness.review import recall
from harness.verdict.judge import Outcome

PASS = Outcome(status=Status.PASS, kind=Kind.PASSED)
FAIL = Outcome(status=Status.FAIL, kind=Kind.ASSERTION, reason="EBADF")
BROKEN = Outcome(status=Status.ERROR, kind=Kind.LOST)
RED = Expectation(status=Status.FAIL, reason="EBADF")


@pytest.fixture
def job():
    suite = Suite(title="t", cases={name: Case(title=name, expect={WITHOUT: RED}) for name in "ab"})
    states = tuple(State(name, "6.12") for name in (WITHOUT, "1", WITH))
    return Job(Scenario("ext4-s", "s", "ext4"), suite, states, ("a", "b"), {"b": "not here"})


@pytest.fixture
def book(tmp_path):
    place = SimpleNamespace(cache=Cache(tmp_path / "cache"), workspace=SimpleNamespace(runs=tmp_path / "runs"))
    return recall._Book(place, {})


def result(case, state, outcome):
    return CaseResult(case=case, state=state, outcome=outcome, folder=f"cases/{state}/{case}")


def keep(place, run, made):
    """As a run keeps it."""
    folder = place.workspace.runs / run / made.folder
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_bytes(msgspec.json.encode(made))


def test_states_that_lack_the_same_cases_are_run_together(job):
    lacking = {(WITHOUT, "a"), (WITHOUT, "b"), ("1", "a"), (WITH, "a")}
    parts = [
        ([state.name for state in part.states], part.cases, dict(part.skipped)) for part in recall._parts(job, lacking)
    ]
    assert parts == [([WITHOUT], ("a", "b"), {"b": "not here"}), (["1", WITH], ("a",), {})]
    assert list(recall._parts(job, set())) == []


def test_a_verdict_is_found_again_as_long_as_its_folder_is_there(book):
    made = result("a", "1", PASS)
    keep(book.place, "run", made)
    book.write("key", recall.Note("run", made.folder, "2026"), made)
    assert dict(recall._known(book.place, ["key", "other"])) == {"key": (recall.Note("run", made.folder, "2026"), made)}
    (book.place.workspace.runs / "run" / made.folder / "outcome.json").unlink()
    assert dict(recall._known(book.place, ["key"])) == {}


def test_a_note_that_was_damaged_is_no_verdict(book):
    made = result("a", "1", PASS)
    book.write("key", recall.Note("run", made.folder, "2026"), made)
    (book.place.cache.root / recall.KNOWN / "key").write_text("{")
    assert dict(recall._known(book.place, ["key"])) == {}


def test_an_error_is_told_and_not_remembered(book):
    book.write("key", recall.Note("run", "f", "2026"), result("a", "1", BROKEN))
    assert "key" in book.made
    assert not (book.place.cache.root / recall.KNOWN / "key").exists()


def test_what_is_promised_is_asked_anew_of_a_known_verdict(job, book):
    """The very kernel was patch 1's once, where nothing is promised, and is the tip's now."""
    keys = {(WITHOUT, "a"): "old", ("1", "a"): "new", (WITH, "a"): "new"}
    first = {"old": (WITHOUT, "a"), "new": ("1", "a")}
    book.known["new"] = (recall.Note("earlier", "f", "2026"), result("a", "7", FAIL))
    book.write("old", recall.Note("now", "f", "2027"), result("a", WITHOUT, FAIL))

    def verdict(state):
        found = recall._verdict(job, book, keys, first, (state, "a"))
        return found.result.state, found.result.met, found.run, found.since, found.like

    assert verdict(WITHOUT) == (WITHOUT, True, "now", "", "")
    assert verdict("1") == ("1", None, "earlier", "2026", "")
    assert verdict(WITH) == (WITH, False, "earlier", "2026", "1")


def test_a_kernel_counts_by_its_bytes(tmp_path):
    for name, data in (("one", b"x"), ("two", b"x"), ("three", b"y")):
        (tmp_path / name).write_bytes(data)
    one, two, three = (recall._content(Path(tmp_path / name)) for name in ("one", "two", "three"))
    assert one == two != three
