"""KTAP: what kernels and kselftest print becomes a tree, and what proves nothing is named."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results.ktap_out import dump
from harness.verdict.ktap import Directive, Document, Plan, Result, parse

RED = """\
TAP version 13
1..1
# Starting 1 tests from 1 test cases.
#  RUN           unlinked.alias ...
# unlinked_test.c:42:alias:Expected 0 (0) == ret (-9)
# alias: Result terminated by assertion
#          FAIL  unlinked.alias
not ok 1 unlinked.alias
# FAILED: 0 / 1 tests passed.
# Totals: pass:0 fail:1 xfail:0 xpass:0 skip:0 error:0
"""

KUNIT = """\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: list
    # module: list_test
    1..2
    ok 1 init
    # add: EXPECTATION FAILED at lib/list-test.c:40
    not ok 2 add
# list: pass:1 fail:1 skip:0 total:2
not ok 1 list
    KTAP version 1
    # Subtest: sort
        KTAP version 1
        # Subtest: by size
        1..1
        ok 1 small # SKIP no memory
    ok 1 by size # SKIP
    1..1
ok 2 sort
"""


def test_the_harness_of_kselftest():
    document = parse(RED)
    assert (document.version, document.plan, document.faults()) == (13, Plan(1, 2), ())
    (test,) = document.tests
    assert (test.number, test.name, test.ok, test.line) == (1, "unlinked.alias", False, 8)
    assert (test.diagnostics[2].number, test.diagnostics[2].text) == (
        5,
        "unlinked_test.c:42:alias:Expected 0 (0) == ret (-9)",
    )
    assert document.diagnostics[0].text == "FAILED: 0 / 1 tests passed."


def test_nested_subtests():
    document = parse(KUNIT)
    assert document.faults() == ()
    first, second = document.tests
    assert [(test.name, test.ok) for test in first.subtests] == [("init", True), ("add", False)]
    assert first.subtests[1].diagnostics[0].text.startswith("add: EXPECTATION FAILED")
    (by_size,) = second.subtests
    assert (by_size.directive, by_size.subtests[0].comment) == (Directive.SKIP, "no memory")
    assert [test.name for test in second.walk()] == ["small", "by size", "sort"]


@pytest.mark.parametrize(
    ("line", "ok", "name", "directive", "comment"),
    [
        ("ok 1 global.alias", True, "global.alias", "", ""),
        ("ok 1 - dashed name", True, "dashed name", "", ""),
        ("ok 1 global.alias # SKIP needs CAP_SYS_ADMIN", True, "global.alias", "SKIP", "needs CAP_SYS_ADMIN"),
        ("ok 1 # SKIP no name at all", True, "", "SKIP", "no name at all"),
        ("ok 2 a # skip lower", True, "a", "SKIP", "lower"),
        ("ok 1 a # XFAIL known", True, "a", "XFAIL", "known"),
        ("ok 1 a # XPASS unknown", True, "a", "XPASS", "unknown"),
        ("not ok 1 a #  remark", False, "a", "", "remark"),
        ("not ok 1 # error sysfs", False, "", "ERROR", "sysfs"),
        ("not ok 7 selftests: x: y # TIMEOUT 45 seconds", False, "selftests: x: y", "TIMEOUT", "45 seconds"),
        ("not ok 1 selftests: x: y # exit=1", False, "selftests: x: y", "", "exit=1"),
        ("ok 1 bug#1234 is fixed", True, "bug#1234 is fixed", "", ""),
        (r"ok 1 a \# b", True, "a # b", "", ""),
        ("ok 3", True, "", "", ""),
    ],
)
def test_result_lines(line, ok, name, directive, comment):
    (test,) = parse(line).tests
    assert (test.ok, test.name, test.directive, test.comment) == (ok, name, directive, comment)


@pytest.mark.parametrize(
    "line",
    ["okay", "ok then", "not okay 1", "nok 1", "# ok 1 a", "x ok 1 a", "ok 1x", "ok 99999999999999999999 a", "ok -1 a"],
)
def test_lines_that_are_no_result(line):
    assert parse(line).tests == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ok 1 a", "no plan"),
        ("", "no plan"),
        ("1..2\nok 1 a", "planned 2 and ran 1"),
        ("1..1\nok 1 a\nok 2 b", "planned 1 and ran 2"),
        ("1..2\nok 1 a\nok 1 a", "result 1 twice"),
        ("1..1\n  1..2\n  ok 1 x\nok 1 a", "a planned 2 and ran 1"),
        ("1..1\n  1..1\n  not ok 1 x\nok 1 a", "says ok and has a subtest that is not"),
        ("1..1\n  # Subtest: x\n  1..1\n  ok 1 y", "has no result"),
        ("1..1\n  ok 1 y\nok 1 a", "a has no plan"),
        ("1..5\nok 1 a\n1..1", "planned 5"),
    ],
)
def test_what_proves_nothing_is_named(text, fault):
    assert any(fault in found for found in parse(text).faults())


def test_the_plan_may_stand_last():
    assert parse("TAP version 13\nok 1 a\nnot ok 2 b\n1..2\n").faults() == ()


def test_skipping_it_all():
    assert parse("1..0 # SKIP no such filesystem").plan == Plan(0, 1, "no such filesystem")
    assert parse("1..0").plan == Plan(0, 1)


def test_bailing_out():
    document = parse("1..2\nok 1 a\nBail out! mount: EPERM\n# Totals: pass:1\n")
    assert document.bail is not None
    assert document.bail.text == "mount: EPERM"


def test_a_kselftest_that_skips_after_a_plan_counts_one_too_far():
    assert parse("TAP version 13\n1..2\nok 1 a\nok 3 # SKIP the rest\n").faults() == ()


def test_foreign_lines_belong_to_the_next_result():
    (test,) = parse("1..1\r\nhello from printf\r\n\r\n# real remark\r\nok 1 a\r\n").tests
    assert [(line.number, line.text) for line in test.diagnostics] == [(2, "hello from printf"), (4, "real remark")]


@pytest.mark.parametrize("cut", range(0, KUNIT.index("ok 2 sort") + 5, 7))
def test_a_cut_off_stream_is_never_without_fault(cut):
    assert parse(KUNIT[:cut]).faults()


WORD = st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)
NAMES = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
LEAVES = st.builds(
    Result,
    number=st.just(0),
    name=NAMES,
    ok=st.booleans(),
    directive=st.sampled_from([Directive.NONE, Directive.SKIP, Directive.XFAIL, Directive.TODO]),
    comment=st.just("") | NAMES,
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.builds(
        Result,
        number=st.just(0),
        name=NAMES,
        ok=st.booleans(),
        subtests=st.lists(below, min_size=1, max_size=4).map(tuple),
    ),
    max_leaves=12,
)


def essence(test):
    return (test.name, test.ok, test.directive, test.comment, tuple(essence(below) for below in test.subtests))


@given(st.lists(TREES, max_size=5))
def test_what_is_printed_is_what_is_read(tests):
    document = parse(dump(tests))
    assert [essence(test) for test in document.tests] == [essence(test) for test in tests]
    assert document.plan is not None
    assert document.plan.count == len(tests)
    assert [test.number for test in document.tests] == list(range(1, len(tests) + 1))


PIECES = st.sampled_from(
    [*RED.splitlines(), *KUNIT.splitlines(), "1..0 # SKIP", "Bail out!", "\x1b[2J", "ok", "ok 1 #", " "]
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.text(max_size=30), max_size=40))
def test_no_text_raises(lines):
    document = parse("\n".join(lines))
    assert isinstance(document, Document)
    document.faults()
    for test in document.tests:
        for each in test.walk():
            assert 0 <= each.line <= len("\n".join(lines).split("\n"))


def test_a_hostile_stream_costs_no_time_and_no_stack():
    deep = "\n".join(" " * depth + "ok 1 a" for depth in range(3000))
    many = "ok 1 a\n" * 200_000
    blank = "ok 1 " + "#" * 1_000_000 + " " * 1_000_000
    began = time.perf_counter()
    for text in (deep, many, blank):
        assert parse(text).faults()
    assert time.perf_counter() - began < 20
