"""Plans: which kernels and cases a request means."""

from pathlib import Path

import pytest

from harness.catalogue.model import Base, Case, Catalogue, Filesystem, Image, Scenario, Series, Status, Suite
from harness.errors import UserError
from harness.plan import Applied, Request, plan

SCENARIO = Scenario("ext4-unlinked", "unlinked", "ext4")
ALONE = Scenario("selftest", "selftest", None)


@pytest.fixture
def catalogue():
    case = {"one": Case(title="one")}
    return Catalogue(
        root=Path("/nowhere"),
        bases={name: Base(title=name, package=f"linux-source-{name}") for name in ("6.1", "6.12", "6.9")},
        fragments={},
        series={
            "floor": Series(title="floor", bases=("6.12", "6.1")),
            "tip": Series(title="tip", bases=("6.12",), requires=("floor",)),
        },
        images={"tiny": Image(title="tiny")},
        filesystems={"ext4": Filesystem(title="ext4", type="ext4")},
        suites={
            "unlinked": Suite(title="unlinked", series="tip", filesystems=("ext4",), cases=case),
            "selftest": Suite(title="selftest", cases=case),
        },
    )


def states(catalogue, scenario, **request):
    (job,) = plan(catalogue, {scenario: ("one",)}, Request(**request))
    return job.states


def test_a_series_is_shown_without_and_with(catalogue):
    without, with_ = states(catalogue, SCENARIO)
    assert (without.name, without.label) == ("without", "floor")
    assert (with_.name, with_.label) == ("with", "floor + tip")


def test_without_a_series_the_newest_base_is_all_there_is(catalogue):
    (base,) = states(catalogue, ALONE)
    assert (base.name, base.base, base.stack) == ("base", "6.12", ())


def test_one_patch(catalogue):
    (third,) = states(catalogue, SCENARIO, at=("3",))
    assert third.stack == (Applied("floor"), Applied("tip", 3))
    assert third.label == "floor + tip[1-3]"
    assert not third.promised


def test_the_plain_base_is_only_made_when_asked_for(catalogue):
    (base,) = states(catalogue, SCENARIO, at=("base",))
    assert base.stack == ()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"base": "6.13"}, "no base '6.13'"),
        ({"base": "6.1"}, "not declared for base 6.1"),
        ({"series": "nothing"}, "no series 'nothing'"),
        ({"at": ("0",)}, "number of a patch"),
        ({"at": ("tip",)}, "number of a patch"),
    ],
)
def test_what_cannot_be_planned(catalogue, request_, says):
    with pytest.raises(UserError, match=says):
        states(catalogue, SCENARIO, **request_)


def test_a_suite_without_series_has_only_its_base(catalogue):
    with pytest.raises(UserError, match="only state"):
        states(catalogue, ALONE, at=("with",))


def test_a_case_that_cannot_apply_is_planned_as_a_skip(catalogue):
    case = Case(title="one", not_on={"ext4": "no such flag"})
    catalogue.suites["unlinked"] = Suite(title="unlinked", series="tip", filesystems=("ext4",), cases={"one": case})
    (job,) = plan(catalogue, {SCENARIO: ("one",)}, Request())
    assert job.skipped == {"one": "no such flag"}
    assert {job.expectation("one", state).status for state in job.states} == {Status.SKIP}


def test_one_cut_is_a_case_of_its_own(catalogue):
    suite = Suite(title="cut", filesystems=("ext4",), cases={"relink": Case(title="relink", cuts=True)})
    catalogue.suites["cut"] = suite
    scenario = catalogue.scenarios()["ext4-cut"]
    (job,) = plan(catalogue, {scenario: ("relink", "relink@17")}, Request())
    assert job.suite.cases["relink"].cut is None
    assert (job.suite.cases["relink@17"].test, job.suite.cases["relink@17"].cut) == ("relink", 17)
