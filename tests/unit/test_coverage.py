"""What is published of runs, and the page that says what is covered."""

from pathlib import Path

import msgspec
import pytest

from harness.catalogue.load import load
from harness.catalogue.model import (
    Base,
    Case,
    Catalogue,
    Expectation,
    Filesystem,
    Image,
    Kind,
    Question,
    Series,
    Status,
    Suite,
)
from harness.errors import InfraError
from harness.paths import Workspace
from harness.results import coverage, published
from harness.results.index import Entry, State
from harness.results.model import CaseResult, GitState, Kernel, Manifest, RunResult, RunStatus
from harness.verdict.judge import Outcome

TREE = Path(__file__).resolve().parents[2]
RED = Outcome(status=Status.FAIL, kind=Kind.ASSERTION, reason="EBADF")
GREEN = Outcome(status=Status.PASS, kind=Kind.PASSED)


@pytest.fixture
def catalogue():
    cases = {"one": Case(title="one", answers=(1,)), "two": Case(title="two", answers=(1, "2a"), not_on={"xfs": "why"})}
    return Catalogue(
        root=Path("/nowhere"), bases={"6.12": Base(title="b", package="p")}, fragments={},
        series={"tip": Series(title="s", bases=("6.12", "6.1"))},
        images={"tiny": Image(title="tiny")},
        filesystems={name: Filesystem(title=name, type=name) for name in ("ext4", "xfs")},
        suites={"unlinked": Suite(title="u", series="tip", filesystems=("ext4", "xfs"), cases=cases)},
        questions={
            "1": Question(title="first | with a bar", source="a mail"),
            "2a": Question(title="second", source="a mail", missing="half of it"),
            "3": Question(title="third", source="a mail", refuted="cannot be"),
            "4": Question(title="fourth", source="a mail"),
        },
    )  # fmt: skip


def entry(
    scenario="ext4-unlinked",
    *,
    met=True,
    options=None,
    cases=("one", "two"),
    status=RunStatus.DONE,
    name="r",
    base="6.12",
):
    states = ("without", "with")
    results = tuple(
        CaseResult(
            case=case, state=state, outcome=GREEN if state == "with" else RED,
            expected=Expectation(status=Status.PASS), met=met or case == "one",
        )
        for state in states for case in cases
    )  # fmt: skip
    manifest = Manifest(
        scenario=scenario, argv=("lab",), states=states, cases=cases, created="2026-01-01T00:00:00Z",
        options=options or {"guests": "forked", "config": ""}, workspace=GitState(commit="a" * 40, changed=(" M x",)),
        kernels=(Kernel(state="with", key="k", label="6.12 + tip", base=base),),
    )  # fmt: skip
    result = RunResult(
        status=status, scenario=scenario, started="", finished="2026-01-01T00:00:09Z", duration=9.0,
        planned=len(results), cases=results,
    )  # fmt: skip
    return Entry(path=Path(name), state=State.GREEN, manifest=manifest, result=result)


def test_a_run_is_published_as_words(catalogue, tmp_path):
    taken = published.take([entry()], catalogue)
    published.write(tmp_path / "published", taken, {"ext4-unlinked": "unlinked"})
    (path,) = (tmp_path / "published").iterdir()
    assert path.name == "unlinked.jsonl"
    assert len(path.read_text().splitlines()) == 1
    run = published.read(tmp_path / "published")["ext4-unlinked"]
    assert run.cases == {"one": ("FAIL (EBADF)", "PASS"), "two": ("FAIL (EBADF)", "PASS")}
    assert run.commit == "a" * 12 + "+"
    assert run.unexpected == ()


@pytest.mark.parametrize(
    "other",
    [
        {"options": {"guests": "cold", "config": ""}},
        {"options": {"guests": "forked", "config": "kasan"}},
        {"cases": ("one",)},
        {"scenario": "gone-unlinked"},
    ],
)
def test_only_whole_plain_runs_of_todays_cases_are_taken(catalogue, other):
    assert published.take([entry(**other)], catalogue) == {}


@pytest.mark.parametrize(
    ("base", "config", "kind"), [("6.12", "kasan lockdep", "6.12-kasan+lockdep"), ("6.1", "", "6.1-plain")]
)
def test_runs_on_other_kernels_have_a_folder_of_their_own(catalogue, tmp_path, base, config, kind):
    other = entry(base=base, options={"guests": "forked", "config": config}, met=False)
    assert published.kind_of(other, catalogue) == kind
    assert published.take([other], catalogue) == {}
    published.write(tmp_path / kind, published.take([entry(), other], catalogue, kind), {"ext4-unlinked": "unlinked"})
    assert published.read(tmp_path) == {}
    page = coverage.page(catalogue, {}, published.read_others(tmp_path))
    assert f"| {kind} | 1 | 4 | ext4-unlinked/two |" in page


def test_the_newest_is_taken(catalogue):
    taken = published.take([entry(met=False), entry()], catalogue)
    assert taken["ext4-unlinked"].unexpected == ("two",)


def test_what_is_of_no_suite_any_more_goes(catalogue, tmp_path):
    (tmp_path / "old.jsonl").write_text("")
    published.write(tmp_path, published.take([entry()], catalogue), {"ext4-unlinked": "unlinked"})
    assert [path.name for path in tmp_path.iterdir()] == ["unlinked.jsonl"]


def test_a_broken_line_and_a_newer_one_name_their_place(catalogue, tmp_path):
    (tmp_path / "unlinked.jsonl").write_text("{}\n")
    with pytest.raises(InfraError, match=r"unlinked.jsonl:1: Object missing"):
        published.read(tmp_path)
    run = msgspec.structs.replace(published.take([entry()], catalogue)["ext4-unlinked"], version=99)
    (tmp_path / "unlinked.jsonl").write_bytes(msgspec.json.encode(run))
    with pytest.raises(InfraError, match="of version 99"):
        published.read(tmp_path)


def test_the_page(catalogue):
    page = coverage.page(catalogue, published.take([entry(met=False)], catalogue))
    assert "4 questions: 1 covered, 1 covered in part, 1 refuted, 1 not covered." in page
    assert "| 1 | first \\| with a bar |" in page
    assert "**unlinked** `one`, `two` | 1 of 2 as expected, 1 not run, 1 cannot apply |" in page
    assert "| 2a | second | covered in part | half of it |" in page
    assert "| 3 | third | refuted | cannot be |" in page
    assert "| 4 | fourth | not covered | no case yet |" in page
    assert "| unlinked/two | xfs | why |" in page
    assert "| ext4-unlinked/two | without: FAIL (EBADF), with: PASS |" in page
    assert "Nothing is published." in coverage.page(catalogue, {})


def test_the_projects_page_is_the_one_that_is_generated():
    workspace = Workspace(TREE)
    page = coverage.page(
        load(workspace), published.read(workspace.published), published.read_others(workspace.published)
    )
    assert (TREE / "docs" / "cases.md").read_text() == page, "lab list --docs > docs/cases.md"


def test_every_question_is_answered_or_says_why_not():
    catalogue = load(Workspace(TREE))
    cases = coverage.answers(catalogue)
    silent = [n for n, q in catalogue.questions.items() if not cases[n] and not q.refuted and not q.missing]
    assert silent == []
