"""What people and other programs read of a run: the table, JUnit XML, KTAP."""

import io
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from harness.catalogue.model import STATUS_OF, Expectation, Kind, Status
from harness.results import junit, ktap_out, text
from harness.results.model import CaseResult, RunResult, RunStatus
from harness.verdict import ktap
from harness.verdict.judge import Outcome, meets

PASS, RED = Expectation(status=Status.PASS), Expectation(status=Status.FAIL, reason="EBADF")
WHERE = "results/runs/20261122T151733Z-ext4-unlinked"


def case(name, state, kind=Kind.PASSED, reason="", expected=PASS, message=""):
    outcome = Outcome(status=STATUS_OF[kind], kind=kind, reason=reason, message=message, duration=0.25)
    met = None if expected is None else meets(expected, outcome)
    folder = f"cases/{state}/{name}"
    return CaseResult(case=name, state=state, outcome=outcome, expected=expected, met=met, folder=folder)


def red(name, kind=Kind.ASSERTION, reason="EBADF", **given):
    return case(name, "without", kind, reason, RED, **given)


def green(name, kind=Kind.PASSED, reason="", **given):
    return case(name, "with", kind, reason, PASS, **given)


def run(*cases, planned=None, status=RunStatus.DONE, error=""):
    return RunResult(
        status=status, scenario="ext4-unlinked", started="2026-11-22T15:17:33Z", finished="", duration=1.0,
        planned=len(cases) if planned is None else planned, cases=cases, error=error,
    )  # fmt: skip


GOOD = run(
    red("alias_is_written_through"),
    red("orphan_comes_back"),
    green("alias_is_written_through"),
    green("orphan_comes_back"),
)

WIDE = """\
ext4-unlinked                without        with
  alias_is_written_through   FAIL (EBADF)   PASS
  orphan_comes_back          FAIL (EBADF)   PASS
red without the series, green with it: 2 of 2      results/runs/20261122T151733Z-ext4-unlinked/"""

NARROW = """\
ext4-unlinked
  alias_is_written_through
    without  FAIL (EBADF)
    with     PASS
  orphan_comes_back
    without  FAIL (EBADF)
    with     PASS
red without the series, green with it: 2 of 2
results/runs/20261122T151733Z-ext4-unlinked/"""


def test_the_table():
    assert text.render(GOOD, WHERE, width=100) == WIDE


def test_the_table_on_a_narrow_terminal():
    assert text.render(GOOD, WHERE, width=46) == NARROW


def test_colours_add_nothing_but_colours():
    import re

    painted = text.render(GOOD, WHERE, width=100, colour=True)
    assert painted != WIDE
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == WIDE


SKIP = Expectation(status=Status.SKIP)
ELSEWHERE = [
    case("needs_a_flag", state, Kind.SKIPPED, "no such flag, as " + "x" * 50, SKIP) for state in ("without", "with")
]


def test_a_case_that_is_not_for_this_filesystem_says_why_once():
    shown = text.render(run(red("a"), ELSEWHERE[0], green("a"), ELSEWHERE[1]), WHERE, width=100)
    assert shown.split("\n")[:4] == [
        "ext4-unlinked    without        with",
        "  a              FAIL (EBADF)   PASS",
        f"  needs_a_flag   SKIP (no such flag, as {'x' * 50})",
        "red without the series, green with it: 1 of 1; not for this filesystem: 1",
    ]
    assert text.summary(run(*ELSEWHERE)) == "not for this filesystem: 1"
    assert f"    SKIP (no such flag, as {'x' * 50})\nred" in text.render(run(*ELSEWHERE), width=20).replace(
        "not", "red"
    )


def test_a_skip_that_nobody_declared_is_not_as_expected():
    result = run(red("a", Kind.SKIPPED, "here"), green("a", Kind.SKIPPED, "here"))
    assert not result.as_expected
    assert "SKIP (here), wanted FAIL (EBADF)" in text.render(result, width=100)


def test_what_was_not_expected_is_told_with_its_lines_and_its_place():
    message = "\n".join(f"line {number}" for number in range(30))
    shown = text.render(run(red("a"), green("a", Kind.SPLAT, "WARNING in drop_nlink", message=message)), WHERE, 100)
    assert "  a             FAIL (EBADF)   FAIL splat (WARNING in drop_nlink), wanted PASS" in shown
    assert "a, with: splat: WARNING in drop_nlink\n    line 0\n" in shown
    assert f"    16 more lines in {WHERE}/cases/with/a\n" in shown
    assert "line 14" not in shown
    assert "red without the series, green with it: 0 of 1" in shown


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (GOOD, "red without the series, green with it: 2 of 2"),
        (
            run(red("a"), case("b", "without"), green("a"), green("b")),
            "red without the series, green with it: 1 of 1; other cases as expected: 1 of 1",
        ),
        (run(red("a", Kind.PASSED, ""), green("a")), "red without the series, green with it: 0 of 1"),
        (run(red("a", Kind.SKIPPED, "x"), green("a")), "red without the series, green with it: 0 of 1"),
        (run(red("a", reason="ENOSYS"), green("a")), "red without the series, green with it: 0 of 1"),
        (run(case("a", "base"), case("b", "base", Kind.TIMEOUT)), "as expected: 1 of 2"),
        (
            run(case("a", "base", Kind.PANIC, "x", Expectation(status=Status.FAIL, kind=Kind.PANIC))),
            "as expected: 1 of 1",
        ),
        (run(case("a", "3", expected=None)), "nothing promised: 1"),
        (run(red("a"), green("a"), planned=4), "2 of 4 were run; red without the series, green with it: 1 of 1"),
        (run(planned=4, status=RunStatus.KILLED), "killed: 0 of 4 were run"),
        (run(red("a"), planned=4, status=RunStatus.KILLED), "killed: 1 of 4 were run; as expected: 1 of 1"),
    ],
)
def test_the_last_line(result, line):
    assert text.summary(result) == line


def test_exit_0_is_only_for_what_ran_whole_and_as_expected():
    assert GOOD.as_expected
    assert not run(red("a"), green("a"), planned=4).as_expected
    assert not run(red("a"), green("a", Kind.SKIPPED)).as_expected
    assert not run(red("a"), green("a"), status=RunStatus.KILLED).as_expected
    assert not run().as_expected
    assert run(case("a", "3", Kind.PANIC, expected=None)).as_expected


@pytest.mark.parametrize(
    ("kind", "reason", "word"),
    [
        (Kind.PASSED, "", "PASS"),
        (Kind.PASSED, "1 of 2 skipped", "PASS (1 of 2 skipped)"),
        (Kind.ASSERTION, "EBADF", "FAIL (EBADF)"),
        (Kind.SKIPPED, "needs root", "SKIP (needs root)"),
        (Kind.PANIC, "dumptest", "FAIL panic (dumptest)"),
        (Kind.TIMEOUT, "", "ERROR timeout"),
        (Kind.NO_BOOT, "", "MISS no-boot"),
        (Kind.ASSERTION, "x" * 99, f"FAIL ({'x' * 41}...)"),
    ],
)
def test_words(kind, reason, word):
    assert text.word(Outcome(status=STATUS_OF[kind], kind=kind, reason=reason)) == word


HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]x[/red] \r\n\x9b31m\u202e\ud800 & <b> ]]> #"


def hostile():
    return run(red(HOSTILE, message=HOSTILE), green(HOSTILE, Kind.SPLAT, HOSTILE, message=HOSTILE), error=HOSTILE)


@pytest.mark.parametrize("width", [20, 400])
def test_a_guest_does_not_steer_the_terminal(width):
    shown = text.render(hostile(), WHERE, width=width)
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "[red]x[/red]" in shown


def test_junit_is_read_by_another_parser():
    result = run(
        red("a"), red("b", Kind.PANIC, "dumptest", message="trace"), green("a"), green("b", Kind.TIMEOUT),
        case("c", "with", Kind.SKIPPED, "no", Expectation(status=Status.SKIP)),
    )  # fmt: skip
    document = JUnitXml.fromstring(junit.render(result).encode())
    assert (document.tests, document.failures, document.errors, document.skipped) == (5, 1, 1, 1)
    without, with_ = list(document)
    assert [entry.name for entry in without] == ["a", "b"]
    assert [entry.is_passed for entry in without] == [True, False]
    assert with_.time == pytest.approx(0.75)
    root = ElementTree.fromstring(junit.render(result))
    first = root.find("./testsuite/testcase")
    assert first.get("classname") == "ext4-unlinked.without"
    assert {p.get("name"): p.get("value") for p in first.iter("property")} == {
        "outcome": "FAIL (EBADF)",
        "expected": "FAIL (EBADF)",
    }


def test_junit_holds_what_a_hostile_guest_wrote():
    ElementTree.fromstring(junit.render(hostile()))


@given(st.text(max_size=60))
def test_any_text_becomes_xml(given_text):
    result = run(red(given_text or "x", Kind.SPLAT, given_text, message=given_text))
    ElementTree.fromstring(junit.render(result))


def test_a_run_as_ktap():
    result = run(
        red("a"), red("b", Kind.PANIC, "dumptest", message="first\nsecond"), green("a"),
        case("b", "with", Kind.SKIPPED, "no", Expectation(status=Status.SKIP)),
    )  # fmt: skip
    document = ktap.parse(ktap_out.render(result))
    assert document.faults() == ()
    without, with_ = document.tests
    assert [(test.name, test.ok, test.directive) for test in without.subtests] == [
        ("a", True, "XFAIL"),
        ("b", False, ""),
    ]
    assert [line.text for line in without.subtests[1].diagnostics] == ["first", "second"]
    assert [(test.name, test.ok) for test in document.tests] == [("without", False), ("with", True)]
    assert with_.subtests[1].directive == "SKIP"


def test_a_hostile_run_is_still_ktap():
    document = ktap.parse(ktap_out.render(hostile()))
    assert document.faults() == ()
    assert [[test.ok for test in state.subtests] for state in document.tests] == [[True], [False]]


def test_colours_are_for_terminals(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert text.wants_colour(Terminal())
    assert not text.wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not text.wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not text.wants_colour(Terminal())
