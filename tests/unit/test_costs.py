"""Costs: from a case's words to a table, without a guest."""

import pytest

from harness.catalogue.model import Kind, Status
from harness.errors import UserError
from harness.results import costs as lines
from harness.results.model import CaseResult, RunResult, RunStatus
from harness.runner.cost import parse
from harness.verdict.cost import costs
from harness.verdict.judge import CaseRecord, Ended, Outcome, judge


def run(**by_state):
    cases = tuple(
        CaseResult(
            case="c", state=state,
            outcome=Outcome(status=Status.PASS, kind=Kind.PASSED, costs=numbers)
            if numbers
            else Outcome(status=Status.FAIL, kind=Kind.ASSERTION, reason="EBADF"),
        )
        for state, numbers in by_state.items()
    )  # fmt: skip
    return RunResult(
        status=RunStatus.DONE, scenario="s", started="", finished="", duration=0, planned=len(cases), cases=cases
    )


@pytest.mark.parametrize(
    ("ktap", "expected"),
    [
        ("# lab_cost open 3300\n", {"open": 3300}),
        ("  # lab_cost open 1\n# lab_cost open 2\n# lab_cost image_bytes 0\n", {"open": 2, "image_bytes": 0}),
        ("# lab_cost open -1\n# lab_cost open 1.5\n# lab_cost open\n# lab_cost a b 1\nlab_cost open 1\n", {}),
        ("# lab_cost open 99999999999999999999999\n", {}),
    ],
)
def test_only_whole_lines_with_a_number_count(ktap, expected):
    assert costs(ktap) == expected


def test_the_outcome_carries_them():
    ktap = "TAP version 13\n1..1\n# lab_cost open 7\nok 1 c\n"
    outcome = judge(CaseRecord(case="c", test="c", ended=Ended.DONE, exit=0, ktap=ktap))
    assert outcome.kind is Kind.PASSED
    assert outcome.costs == {"open": 7}


def test_a_number_that_changes_between_runs_is_told():
    same = lines.collect([("4K", run(**{"with": {"n": 5}})), ("4K", run(**{"with": {"n": 5}}))])
    other = lines.collect([("4K", run(**{"with": {"n": 5}})), ("4K", run(**{"with": {"n": 6}}))])
    assert lines.unequal(same) == []
    assert lines.unequal(other) == ["c, with, n at 4K: 5 to 6 in 2 runs"]


def test_a_drawing_has_a_bar_for_each_value_and_says_why_there_is_none():
    found = lines.collect(
        [("4K", run(without={}, **{"with": {"n": 100}})), ("1M", run(without={}, **{"with": {"n": 200}}))]
    )
    drawn = lines.draw("size", found, 60)
    first, second = (line for line in drawn.splitlines() if lines.BAR in line)
    assert abs(second.count(lines.BAR) - 2 * first.count(lines.BAR)) <= 1
    assert second.endswith("x2.000")
    assert "c, without: FAIL (EBADF): nothing to count" in drawn


def test_a_table_relates_the_last_state_to_those_before():
    found = lines.collect([("", run(base={"n": 1000}, without={"n": 0}, **{"with": {"n": 1010}}))])
    row = lines.table(found, ["base", "without", "with"]).splitlines()[1]
    assert row.split()[1:] == ["1,000", "0", "1,010", "1.0100", "-"]


@pytest.mark.parametrize("text", ["", "size", "size=", "=4K", "a b=1", "size=,"])
def test_a_parameter_is_a_name_and_values(text):
    with pytest.raises(UserError):
        parse(text)


def test_the_program_sees_the_parameter_in_capitals():
    vary = parse("size=4K,1M")
    assert vary.values == ("4K", "1M")
    assert vary.variable("1M") == "LAB_SIZE=1M"
