"""Which patch turned a case, and whether it is the one that claims it; the search for it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue.model import Case, Expectation, Status, Suite
from harness.plan import WITH, WITHOUT, Job, State
from harness.results.model import CaseResult
from harness.review.bisect import search
from harness.review.matrix import GOOD_TURNS, Turn, row, states
from harness.verdict.judge import CaseRecord, Ended, judge, not_applicable

RED = "TAP version 13\n1..1\n# a.c:1:c:link(): EBADF (Bad file), expected success\nnot ok 1 s.c\n"
GREEN = "TAP version 13\n1..1\nok 1 s.c\n"
TITLES = ("one", "two", "three")
FAIL = Expectation(status=Status.FAIL, reason="EBADF")


def suite(claimed="", kept=False):
    expect = {} if kept else {"without": FAIL}
    return Suite(title="t", series="s", green_from=claimed, expect=expect, cases={"c": Case(title="c")})


def outcomes(marks):
    """Results at base and each patch from ``-`` red, ``+`` green, ``.`` not run."""
    found = []
    for at, mark in enumerate(marks):
        state = WITHOUT if at == 0 else WITH if at == len(TITLES) else str(at)
        if mark == ".":
            continue
        record = CaseRecord(
            case="c", state=state, ended=Ended.DONE, exit=int(mark == "-"), ktap=GREEN if mark == "+" else RED
        )
        found.append(CaseResult(case="c", state=state, outcome=judge(record)))
    return found


@pytest.mark.parametrize(
    ("marks", "claimed", "kept", "turn", "found"),
    [
        ("--++", "two", False, Turn.AS_CLAIMED, 2),
        ("---+", "t[h]ree", False, Turn.AS_CLAIMED, 3),
        ("--++", "", False, Turn.TURNED, 2),
        ("--++", "no such patch", False, Turn.TURNED, 2),
        ("-+++", "two", False, Turn.EARLY, 1),
        ("---+", "two", False, Turn.LATE, 3),
        ("-+-+", "two", False, Turn.BACK, 3),
        ("----", "two", False, Turn.NEVER, 0),
        ("--+-", "two", False, Turn.NEVER, 0),
        ("++++", "two", False, Turn.EARLY, 0),
        ("++++", "", True, Turn.KEPT, 0),
        ("++++", "two", True, Turn.KEPT, 0),
        ("+-++", "", True, Turn.BROKEN, 2),
        ("--..", "two", False, Turn.UNKNOWN, 0),
        ("-..+", "two", False, Turn.AS_CLAIMED, 3),
        ("-.-+", "one", False, Turn.LATE, 3),
    ],
)
def test_turns(marks, claimed, kept, turn, found):
    made = row("s", suite(claimed, kept), "c", outcomes(marks), TITLES)
    assert (made.turn, made.found) == (turn, found)
    assert made.met == (turn in GOOD_TURNS)


def test_a_case_that_is_not_for_the_filesystem_breaks_no_promise():
    """As a job has it: it is left out in every state, and that is what is expected of it."""
    job = Job(None, suite("two"), tuple(State(name, "b") for name in states(3)), ("c",), {"c": "has no blocks"})
    results = [
        CaseResult(
            case="c", state=state.name, expected=job.expectation("c", state),
            outcome=judge(not_applicable("c", state.name, "has no blocks")),
        )
        for state in job.states
    ]  # fmt: skip
    made = row("s", suite("two"), "c", results, TITLES)
    assert (made.turn, made.claimed, made.met) == (Turn.APART, 0, True)
    wanted = [msgspec.structs.replace(result, expected=FAIL, met=False) for result in results]
    assert not row("s", suite("two"), "c", wanted, TITLES).met  # a skip where a verdict was promised


def test_the_tip_is_its_last_patch():
    made = row("s", suite("two"), "c", outcomes("--++"), TITLES)
    assert list(made.cells) == ["without", "1", "2", "3"]
    assert states(3) == [WITHOUT, "1", "2", WITH]
    assert states(3, [2]) == [WITHOUT, "1", WITH]
    assert states(3, [3]) == [WITHOUT, "1", "2"]


def test_a_promise_that_was_not_kept_at_an_end():
    results = outcomes("--++")
    results[0] = CaseResult(case="c", state=WITHOUT, outcome=results[0].outcome, expected=FAIL, met=False)
    made = row("s", suite("two"), "c", results, TITLES)
    assert (made.turn, made.met) == (Turn.AS_CLAIMED, False)


@given(
    st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count))), st.booleans(), st.data()
)
def test_a_bisection_finds_the_one_turn(sizes, becomes, data):
    count, turn = sizes
    broken = data.draw(st.sets(st.integers(1, max(1, count - 1))).filter(lambda each: count not in each))
    asked = []

    def ask(position):
        asked.append(position)
        if position in broken:
            return None
        return becomes if position >= turn else not becomes

    old, new = search(count, ask)
    assert old < turn <= new
    assert not [position for position in range(old + 1, new) if position not in broken]
    if not broken:
        assert (old, new) == (turn - 1, turn)
        assert len(set(asked)) <= count.bit_length() + 2


def test_a_bisection_with_nothing_between():
    assert search(5, lambda _position: True) is True
    assert search(5, lambda _position: False) is False
    assert search(5, lambda position: None if position == 5 else False) is None
