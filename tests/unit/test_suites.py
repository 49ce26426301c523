"""What the suites declare is what their programs have, and can be true."""

import re
from pathlib import Path

import pytest

from harness.catalogue.load import load
from harness.catalogue.model import STATUS_OF, Status
from harness.kernel.series import read_series
from harness.paths import Workspace
from harness.review.matrix import claim, claimed_by

TREE = Path(__file__).resolve().parents[2]
CATALOGUE = load(Workspace(TREE))
SUITES = sorted(CATALOGUE.suites)

DEFINED = re.compile(r"^(?:RAW_)?TEST(?:_SIGNAL)?\((?P<test>\w+)|^TEST_F\w*\(\w+, (?P<fixture_test>\w+)", re.MULTILINE)
RAW_TABLE = re.compile(r'^\t\{ "(\w+)", (\w+) \},$', re.MULTILINE)
SUBJECT = re.compile(r"^SUBJECT\((\w+)\)", re.MULTILINE)
SUBJECT_USED = re.compile(r'ASSERT_CHECKPOINT(?:_ERRNO\([^,]+,|\()\s*(?:&self->)?stage, "(\w+)"')
SUBJECT_STARTED = re.compile(r'"--subject", "(\w+)"')


def programs(suite):
    return CATALOGUE.suites[suite].programs or tuple(
        path.stem for path in sorted((TREE / "testcases" / suite).glob("*_test.c"))
    )


def source(suite, program):
    return (TREE / "testcases" / suite / f"{program}.c").read_text()


def defined(text):
    return [found["test"] or found["fixture_test"] for found in DEFINED.finditer(text)]


def test_the_suites_that_ship_are_there():
    assert {"rmdir", "selftest", "unlinked"} <= set(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_cases_are_the_tests_of_the_programs(suite):
    declared = {program: [] for program in programs(suite)}
    for name, case in CATALOGUE.suites[suite].cases.items():
        declared[case.program or programs(suite)[0]].append(case.test or name)
    for program, tests in declared.items():
        assert sorted(tests) == sorted(defined(source(suite, program))), f"{suite}/suite.toml and {program}.c"


@pytest.mark.parametrize("suite", SUITES)
def test_one_name_selects_one_test(suite):
    """The harness's -t takes a test's bare name, whatever its fixture."""
    for program in programs(suite):
        tests = defined(source(suite, program))
        assert len(tests) == len(set(tests))


@pytest.mark.parametrize("suite", SUITES)
def test_every_subject_is_run_and_every_subject_run_is_there(suite):
    for program in programs(suite):
        text = source(suite, program)
        used = SUBJECT_USED.findall(text) + SUBJECT_STARTED.findall(text)
        assert set(SUBJECT.findall(text)) == set(used), program


def test_raw_programs_offer_all_that_they_define():
    text = source("selftest", "raw_test")
    assert [(name, name) for name in defined(text)] == RAW_TABLE.findall(text)


@pytest.mark.parametrize("suite", SUITES)
def test_an_expected_kind_belongs_to_its_status(suite):
    declared = CATALOGUE.suites[suite]
    for name in declared.cases:
        for state in ("base", "without", "with"):
            wanted = declared.expectation(name, state)
            assert wanted.kind is None or STATUS_OF[wanted.kind] is wanted.status, f"{suite}/{name} {state}"


@pytest.mark.parametrize("suite", [name for name in SUITES if CATALOGUE.suites[name].series])
def test_a_suite_of_a_series_says_what_it_expects_before_it(suite):
    """Nobody's silence is taken for PASS, and a red without a reason would be met by any assertion."""
    declared = CATALOGUE.suites[suite]
    for name, case in declared.cases.items():
        for state in ("base", "without"):
            assert state in declared.expect or state in case.expect, f"{suite}/{name} {state}"
            wanted = declared.expectation(name, state)
            assert wanted.status is not Status.FAIL or wanted.reason, f"{suite}/{name} {state}"


@pytest.mark.parametrize("suite", [name for name, suite in CATALOGUE.suites.items() if suite.series])
def test_a_claim_names_a_patch_of_the_series(suite):
    declared = CATALOGUE.suites[suite]
    titles = [patch.title for patch in read_series(CATALOGUE.folder_of(declared.series))]
    for case in declared.cases:
        assert bool(claim(declared, case, titles)) is bool(claimed_by(declared, case)), case


@pytest.mark.parametrize("suite", [name for name, suite in CATALOGUE.suites.items() if suite.series])
def test_every_case_that_the_series_changes_says_at_which_patch(suite):
    """Else a review could only tell what it found, with nothing to hold it against."""
    declared = CATALOGUE.suites[suite]
    changed = [
        case for case in declared.cases if declared.expectation(case, "without") != declared.expectation(case, "with")
    ]
    assert [case for case in changed if not claimed_by(declared, case)] == []
