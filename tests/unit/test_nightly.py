"""The night's pure parts: which cells, in which order, what a report leads to, what is said of a case."""

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.load import load
from harness.catalogue.model import Known
from harness.catalogue.nightly import load_nightly
from harness.errors import DeclarationError, UserError
from harness.history.rows import Complaint, Lane, Point
from harness.nightly import matrix
from harness.nightly.book import Book, Plan, unfinished
from harness.nightly.estimate import BOOT, CASE, Seconds, within_budget
from harness.nightly.matrix import Cell, expand
from harness.nightly.night import Kernel, Night, Planned
from harness.nightly.schedule import Task, ordered, simulate
from harness.nightly.verdict import judge_night
from harness.nightly.work import Report
from harness.paths import Workspace, find_workspace

SUITE = 'title = "t"\nfilesystems = {filesystems}\nseries = "{series}"\n[cases.one]\ntitle = "one"\n'


@pytest.fixture
def workspace(tmp_path):
    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    for base in ("6.1", "6.12"):
        write(f"kernel-patches/bases/{base}.toml", 'title = "t"\ntarball = "x.tar"\n')
    for fragment in ("kasan", "lockdep"):
        write(f"kernel-patches/config/{fragment}.config", "")
    write("kernel-patches/relink/series.toml", 'title = "t"\nbases = ["6.12", "6.1"]\n')
    for filesystem in ("ext4", "xfs"):
        write(f"images/filesystems/{filesystem}.toml", f'title = "t"\ntype = "{filesystem}"\n')
    write("images/tiny/image.toml", 'title = "t"\n')
    write("testcases/unlinked/suite.toml", SUITE.format(filesystems='["ext4", "xfs"]', series="relink"))
    write("testcases/selftest/suite.toml", SUITE.format(filesystems="[]", series=""))
    for suite in ("unlinked", "selftest"):
        write(f"testcases/{suite}/a_test.c", "")
    return Workspace(tmp_path, shipped=tmp_path)


@pytest.fixture
def declare(workspace):
    def declare(text):
        path = workspace.root / "nightly.toml"
        path.write_text(text)
        catalogue = load(workspace)
        return expand(catalogue, load_nightly(path, catalogue))

    return declare


def ids(found):
    return [cell.id for cell in found.cells]


def test_without_a_declaration_everything_runs_once_on_plain(workspace):
    catalogue = load(workspace)
    found = expand(catalogue, load_nightly(workspace.root / "nightly.toml", catalogue))
    assert ids(found) == ["6.12/plain/auto/selftest", "6.12/plain/auto/ext4-unlinked", "6.12/plain/auto/xfs-unlinked"]


def test_the_product_of_the_axes(declare):
    found = declare('[matrix]\nbases = ["*"]\nconfigs = ["plain", "kasan+lockdep"]\nsuites = ["unlinked"]\n')
    assert ids(found) == [
        f"{base}/{config}/auto/{fs}-unlinked"
        for config in ("plain", "kasan+lockdep") for fs in ("ext4", "xfs") for base in ("6.12", "6.1")
    ]  # fmt: skip
    assert found.cells[-1].fragments == ("kasan", "lockdep")


def test_includes_excludes_and_repeats(declare):
    found = declare(
        'repeat = 2\n[matrix]\nsuites = ["unlinked"]\n'
        '[[include]]\nconfigs = ["kasan"]\nfilesystems = ["ext4"]\nrepeat = 1\n'
        '[[exclude]]\nfilesystems = ["xfs"]\nreason = "its mkfs is broken until Monday"\n'
    )
    assert ids(found) == [
        "6.12/plain/auto/ext4-unlinked", "6.12/plain/auto/ext4-unlinked #2", "6.12/kasan/auto/ext4-unlinked",
    ]  # fmt: skip
    assert [each.reason for each in found.left_out] == ["its mkfs is broken until Monday"] * 2


def test_an_excluded_state_takes_the_cells_that_run_it(declare):
    found = declare(
        '[matrix]\nconfigs = ["kasan"]\n[[include]]\nsuites = ["unlinked"]\nstates = ["with"]\n'
        '[[exclude]]\nstates = ["without"]\nreason = "it says nothing"\n'
        '[[exclude]]\nstates = ["base"]\nreason = "nor does that"\n'
    )
    assert {(cell.scenario, cell.states) for cell in found.cells} == {
        ("ext4-unlinked", ("with",)), ("xfs-unlinked", ("with",)),
    }  # fmt: skip
    assert {each.cell.scenario for each in found.left_out} == {"ext4-unlinked", "xfs-unlinked", "selftest"}


def test_a_suite_without_filesystem_is_on_none(declare):
    assert ids(declare('[matrix]\nfilesystems = ["none"]\n')) == ["6.12/plain/auto/selftest"]


def test_states_are_for_suites_that_test_a_series(declare):
    found = declare('[matrix]\nstates = ["with", "1"]\n')
    assert {cell.scenario for cell in found.cells} == {"ext4-unlinked", "xfs-unlinked"}
    assert {cell.states for cell in found.cells} == {("with", "1")}


def test_an_empty_matrix_is_a_mistake(declare):
    with pytest.raises(UserError, match="the matrix has no cell"):
        declare('[[exclude]]\nreason = "all of it"\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[matrix]\nfilesystem = ['ext4']\n", "unknown key 'filesystem'"),
        ("[matrix]\nfilesystems = ['ext5']\n", "nothing is called 'ext5'"),
        ("[matrix]\nconfigs = ['kasan+lokdep']\n", "nothing is called 'lokdep'"),
        ("[matrix]\nbases = ['6.13']\n", "nothing is called '6.13'"),
        ("[[exclude]]\nfilesystems = ['xfs']\n", "'reason' is missing"),
        ("[[exclude]]\nreason = ' '\n", "has a reason"),
        ("repeat = 0\n", "repeat: must be at least 1"),
        ("environment = ['MUTANTS']\n", "is no NAME=VALUE"),
        ("environment = ['MUTANTS=5 of 9']\n", "no blanks"),
        ("environment = ['A=1', 'B=1', 'C=1', 'D=1', 'E=1', 'F=1', 'G=1', 'H=1', 'I=1']\n", "8 variables, not 9"),
        ("[mail]\nto = ['a@example.org']\nsender = 'b@example.org'\nwhen = 'never'\n", "neither 'always' nor 'red'"),
    ],
)
def test_the_declaration_is_strict(declare, text, message):
    with pytest.raises(DeclarationError, match=re.escape(message)):
        declare(text)


def test_builds_come_first_and_the_longest_job_starts_first():
    tasks = [Task("short", 1), Task("k", 10, build=True), Task("long", 9), Task("waits", 5, ("k",))]
    assert [task.name for task in ordered(tasks)] == ["k", "long", "waits", "short"]


def test_guests_run_beside_a_build():
    """k: ten seconds of one core, and one core is left for what does not wait for it."""
    outlook = simulate([Task("k", 10, build=True), Task("a", 4), Task("b", 4), Task("c", 3, ("k",))], cores=2)
    assert outlook.spans["k"] == (0, 10)
    assert outlook.spans["a"] == (0, 4)
    assert outlook.spans["b"] == (4, 8)
    assert outlook.seconds == 13


def test_a_build_alone_takes_all_cores():
    assert simulate([Task("k", 10, build=True), Task("c", 3, ("k",))], cores=5).seconds == 5


jobs = st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=30)


@settings(deadline=None)
@given(jobs, st.integers(1, 8))
def test_a_schedule_is_never_shorter_than_it_can_be_nor_longer_than_one_after_the_other(jobs, cores):
    tasks = [Task("k", 20, build=True)]
    tasks += [Task(f"j{n}", seconds, ("k",) if waits else ()) for n, (seconds, waits) in enumerate(jobs)]
    outlook = simulate(tasks, cores)
    total = 20 + sum(seconds for seconds, _ in jobs)
    assert total / cores - 1e-6 <= outlook.seconds <= total + 1e-6
    for task in tasks:
        for need in task.needs:
            assert outlook.spans[task.name][0] >= outlook.spans[need][1]
    busy = sorted((span for name, span in outlook.spans.items() if name != "k"), key=lambda span: span[0])
    for start, _ in busy:
        assert sum(begin <= start < end for begin, end in busy) <= cores


def cell(name):
    return Cell(name, "6.12", "plain", "auto")


def a_night(*names, kernels=(), needs=(), again=2):
    return Night("n", [Planned(cell(name), 5, tuple(needs)) for name in names], kernels, again)


def report(night, *unmet, error=""):
    """Start the next task and say what became of it."""
    task = night.ready()[0]
    night.start(task)
    night.take(
        Report(
            name=task.name, errand=night.errand(task), unmet=unmet, error=error, whose="build", code=3 if error else 0
        )
    )
    return night.errand(task)


def test_a_failure_is_run_again_in_a_fresh_fork_then_from_power_on():
    night = a_night("a")
    assert report(night, ("with", "x"), ("with", "y"), ("without", "x")).attempt == 0
    fork = report(night, ("with", "x"))
    assert (fork.attempt, fork.cold, fork.states, fork.cases) == (1, False, ("with", "without"), ("x", "y"))
    cold = report(night)
    assert (cold.attempt, cold.cold, cold.states, cold.cases) == (2, True, ("with", "without"), ("x", "y"))
    assert night.over


def test_a_job_whose_kernel_does_not_build_is_not_run_and_says_why():
    night = a_night("a", "b", kernels=[Kernel("k", "6.12 + x", 100)], needs=("k",))
    assert [task.name for task in night.ready()] == ["k"]
    assert report(night, error="x.c:1: error") is None
    assert night.over
    assert [(each.errand.scenario, each.error, each.code) for each in night.reports if each.errand] == [
        ("a", "x.c:1: error", 3), ("b", "x.c:1: error", 3),
    ]  # fmt: skip


def test_a_night_goes_on_where_it_was():
    killed = a_night("a", "b", "c")
    report(killed, ("with", "x"))
    report(killed)
    again = a_night("a", "b", "c")
    again.restore(killed.reports)
    assert sorted(task.name for task in again.left) == sorted(task.name for task in killed.left)
    assert (again.done, again.total) == (2, 4)


def test_what_the_budget_has_no_room_for_is_said():
    night = a_night("a", "b")
    report(night, ("with", "x"))
    night.give_up("the budget is used up")
    assert night.over
    assert [(each.errand.scenario, each.code) for each in night.reports if each.error] == [("b", 1)]


def test_a_budget_takes_what_was_not_run_for_longest():
    cells = [Planned(cell(name), 10, ("k",) if name == "d" else ()) for name in "abcd"]
    last = {cells[0].cell.id: "2026-11-24", cells[1].cell.id: "2026-11-23", cells[2].cell.id: "2026-11-25"}
    taken, left = within_budget(cells, [Kernel("k", "k", 100)], 1, 25, last)
    assert [each.cell.scenario for each in taken] == ["a", "b"]
    assert [each.cell.scenario for each in left] == ["d", "c"]


def test_seconds_of_a_cell(workspace, declare):
    (workspace.root / "kernel-patches/config/kasan.config").write_text("#: slower = 4\n")
    cells = declare('[matrix]\nconfigs = ["plain", "kasan"]\nsuites = ["unlinked"]\nfilesystems = ["ext4"]\n').cells
    plain, checked = (next(cell for cell in cells if cell.config == config) for config in ("plain", "kasan"))
    catalogue = load(workspace)

    def seconds(cell, nights=None, known=None):
        return Seconds(catalogue, nights or {}, known or {}).of(cell)

    states = 2
    assert seconds(plain) == states * (BOOT + CASE)
    assert seconds(checked) == 4 * states * (BOOT + CASE), "its fragment says so"
    once = {("ext4-unlinked", "with", "", "one"): 0.1}
    assert seconds(plain, known=once) == pytest.approx(states * (BOOT + 0.1)), "in one state as in the other"
    other = {("xfs-unlinked", "with", "", "one"): 0.1, ("xfs-unlinked", "with", "kasan", "one"): 0.6}
    assert seconds(checked, known=once | other) == pytest.approx(6 * states * (BOOT + 0.1)), "as it was elsewhere"
    assert seconds(checked, {checked.id: 42.0}, once | other) == 42.0, "as it was on earlier nights"


LANE = Lane(1, "ext4-unlinked", "with", "6.12", "relink", "", "tcg", False, "")
SPLAT = Complaint("0123456789ab", "WARNING in foo", "warning", 1)


def point(met, attempt=0, kind="assertion", complaints=(), run="r", job="j"):
    return Point(
        id=0, run=run, folder="", started="2026-11-25T00:00:00Z", nightly="n", job=job, attempt=attempt, guests="",
        commit="", changed=False, host="", qemu="", lane=LANE, case="x", kernel="k", label="l", source="",
        status="PASS" if met else "FAIL", kind="passed" if met else kind, reason="", message="", met=met, wanted="PASS",
        duration=1.0, where="", complaints=complaints,
    )  # fmt: skip


TODAY = datetime.date(2026, 11, 25)
DECLARED = {SPLAT.fingerprint: Known(title="t", reason="r", expires=TODAY)}


@pytest.mark.parametrize(
    ("points", "word", "failed"),
    [
        ([point(True)], "met", 0),
        ([point(False), point(False, 1), point(False, 2)], "failed", 3),
        ([point(False), point(True, 1), point(False, 2)], "flaky", 2),
        ([point(False, kind="splat", complaints=(SPLAT,))], "known", 1),
        ([point(False, kind="splat", complaints=(SPLAT,)), point(False, 1)], "failed", 2),
        ([point(None)], "free", 0),
        ([point(True), point(True, run="r2")], "met", 0),
    ],
)
def test_what_is_said_of_a_case(points, word, failed):
    (judged,) = judge_night(points, DECLARED, TODAY)
    assert (judged.word.value, judged.rate.failed) == (word, failed)


def test_an_attempt_that_was_told_twice_counts_once():
    """A worker that died after its run was stored: the job ran again elsewhere."""
    (judged,) = judge_night([point(False, run="r1"), point(True, run="r2")], {}, TODAY)
    assert (judged.word.value, judged.rate.runs) == ("met", 1)


def test_a_night_that_was_killed_left_half_a_line(workspace):
    with Book.begin(workspace) as book:
        book.write_plan(Plan(name=book.name, title="t", started="", cells=()))
        book.note(Report(name="a"))
        with (book.folder / "reports.jsonl").open("ab") as stream:
            stream.write(b'{"name":"b","err')
        with pytest.raises(UserError, match="being run by another lab"):
            unfinished(workspace)
    with unfinished(workspace) as again:
        assert [each.name for each in again.reports()] == ["a"]


def test_there_is_nothing_to_go_on_with(workspace):
    with pytest.raises(UserError, match="none was begun"):
        unfinished(workspace)


def test_the_states_of_a_cell_are_the_suites(workspace):
    job = matrix.job_of(load(workspace), Cell("ext4-unlinked", "6.1", "plain", "auto"))
    assert [(state.name, state.base) for state in job.states] == [("without", "6.1"), ("with", "6.1")]


def test_the_labs_own_night_has_every_suite_and_checks_the_kernel():
    workspace = find_workspace(Path(__file__))
    catalogue = load(workspace)
    declared = load_nightly(workspace.root / "nightly.toml", catalogue)
    cells = expand(catalogue, declared).cells
    scenarios = catalogue.scenarios()
    assert {scenarios[cell.scenario].suite for cell in cells} == set(catalogue.suites)
    for config in ("plain", "kasan+lockdep"):
        of_unlinked = {cell.scenario for cell in cells if cell.config == config and cell.scenario.endswith("-unlinked")}
        assert len(of_unlinked) >= 4
    assert set(declared.matrix.bases) <= set(catalogue.bases)
