"""The memory: every run once, whatever was imported when and by how many; and what it makes of outcomes over time."""

import datetime
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import process
from harness.catalogue.load import known_splats
from harness.catalogue.model import Expectation, Known, Status
from harness.cli import lab
from harness.errors import DeclarationError, InfraError, UserError
from harness.history import compare, moment, query, schema, text, trend
from harness.history.store import History, import_runs, remember
from harness.paths import Workspace
from harness.results import index
from harness.results.model import Accel, GitState, Kernel, Manifest, Tools
from harness.results.run import RunFolder
from harness.verdict.judge import CaseRecord, Ended, judge

ROOT = Path(__file__).resolve().parents[2]
PASS = "TAP version 13\n1..1\nok 1 unlinked.alias\n"
RED = "TAP version 13\n1..1\n# a.c:1:alias:link(): EBADF (Bad file), expected success\nnot ok 1 unlinked.alias\n"
WARNING = textwrap.dedent("""\
    [    1.0] ------------[ cut here ]------------
    [    1.0] WARNING: CPU: 0 PID: 77 at fs/inode.c:407 drop_nlink+0x30/0x40
    [    1.0] RIP: 0010:drop_nlink+0x30/0x40
    [    1.0] Call Trace:
    [    1.0]  vfs_unlink+0x100/0x200
    [    1.0]  do_unlinkat+0x100/0x200
    [    1.0] ---[ end trace 0000000000000000 ]---
    """)
TODAY = datetime.date(2026, 11, 25)


@pytest.fixture
def workspace(tmp_path):
    for name in ("kernel-patches", "testcases"):
        (tmp_path / name).mkdir()
    return Workspace(tmp_path)


def a_run(workspace, *, good=True, kernel="77ab02", console="", config="", nightly="", cases=("alias",), **more):
    """A run folder with one state; its cases pass, or fail by an assertion, or complain on the console."""
    with RunFolder.create(workspace.runs, "ext4-unlinked") as run:
        run.write_manifest(
            Manifest(
                scenario="ext4-unlinked", argv=("lab", "run", "ext4-unlinked"), states=("with",), cases=cases,
                created="2026-11-22T15:17:33Z",
                options={"guests": "forked", "config": config, "environment": "", "nightly": nightly, **more},
                tools=Tools(qemu="QEMU 7.2", compiler="gcc 12", host="here", host_kernel="6.1"),
                workspace=GitState(commit="c" * 40), accel=Accel(name="tcg", reason="no KVM"),
                kernels=(
                    Kernel(
                        state="with", key=kernel, label=f"6.12 + relink {kernel}", base="6.12", source="5" * 40,
                        stack=("core", "relink"),
                    ),
                ),
            )
        )  # fmt: skip
        for case in cases:
            record = CaseRecord(
                case=case, state="with", test="alias", ended=Ended.DONE, exit=0 if good else 1,
                ktap=PASS if good else RED, console=console, duration=0.5,
            )  # fmt: skip
            run.add(record, judge(record), Expectation(status=Status.PASS))
        run.finish()
    return run.path


def remembered(workspace, **asked):
    with History.of(workspace) as history:
        return query.points(history, **asked)


def test_a_run_is_remembered_with_all_that_it_was_made_of(workspace):
    remember(workspace, a_run(workspace, console=WARNING, config="kasan"))
    (point,) = remembered(workspace)
    assert (point.case, point.status, point.kind, point.met) == ("alias", "FAIL", "splat", False)
    assert (point.kernel, point.source, point.commit) == ("77ab02", "5" * 40, "c" * 40)
    assert (point.lane.base, point.lane.stack, point.lane.config, point.lane.accel) == (
        "6.12", "core + relink", "kasan", "tcg",
    )  # fmt: skip
    (complaint,) = point.complaints
    assert complaint.title == "WARNING in drop_nlink"
    assert len(complaint.fingerprint) == 12
    with History.of(workspace) as history:
        run = query.run(history, "last")
    assert (run.qemu, run.compiler, run.host, run.host_kernel) == ("QEMU 7.2", "gcc 12", "here", "6.1")


def test_the_same_run_again_is_one_run(workspace):
    folder = a_run(workspace, console=WARNING)
    for _ in range(3):
        remember(workspace, folder)
    with History.of(workspace) as history:
        counts = [
            history.db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("run", "outcome", "splat")
        ]
    assert counts == [1, 1, 1]


def dump(path):
    """The database as text, without the numbers of its rows."""
    with sqlite3.connect(path) as db:
        rows = db.execute(query.POINTS.format(where="1")).fetchall()
        splats = db.execute("SELECT fingerprint, title, times FROM splat ORDER BY 1").fetchall()
    return [row[1:25] + row[26:] for row in rows], splats


def test_the_memory_can_be_made_again_from_the_run_folders(workspace):
    for good in (True, False, True):
        remember(workspace, a_run(workspace, good=good, console="" if good else WARNING, cases=("alias", "orphan")))
    before = dump(workspace.runs.parent / "history.db")
    for left in workspace.runs.parent.glob("history.db*"):
        left.unlink()
    with History.of(workspace) as history:
        assert import_runs(history, workspace.runs) == (3, [])
        assert import_runs(history, workspace.runs) == (0, [])
        assert import_runs(history, workspace.runs, again=True) == (3, [])
    assert dump(workspace.runs.parent / "history.db") == before
    assert len(before[0]) == 6


def test_a_run_without_a_result_is_left_out_and_said(workspace):
    folder = a_run(workspace)
    (folder / "result.json").unlink()
    with History.of(workspace) as history:
        stored, left = import_runs(history, workspace.runs)
    assert (stored, [each.state for each in left]) == (0, [index.State.NO_RESULT])


def test_labs_at_once_all_are_remembered(workspace):
    """Ten processes open (and make) the same database and store a run each."""
    folders = [a_run(workspace) for _ in range(10)]
    code = (
        "import sys; from pathlib import Path; from harness.paths import Workspace;"
        "from harness.history.store import remember; remember(Workspace(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    labs = [
        subprocess.Popen([sys.executable, "-c", code, workspace.root, folder], cwd=ROOT, stderr=subprocess.PIPE)
        for folder in folders
    ]
    assert [lab.communicate()[1] for lab in labs] == [b""] * 10
    assert len(remembered(workspace)) == 10


def test_a_write_that_fails_leaves_nothing_of_the_run(workspace, monkeypatch):
    folder = a_run(workspace, console=WARNING)

    def broken(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("harness.history.store._many", broken)
    with History.of(workspace) as history, pytest.raises(InfraError, match="disk is full"):
        history.note(index.entry(folder))
    assert remembered(workspace) == []


def test_a_memory_that_fails_is_said_and_costs_the_run_nothing(workspace, caplog):
    folder = a_run(workspace)
    (workspace.runs.parent / "history.db").write_text("this is no database, " * 100)
    remember(workspace, folder)
    assert "is not in the history" in caplog.text
    assert "history.db cannot be used" in caplog.text


def test_a_database_of_a_newer_lab_is_refused(workspace):
    History.of(workspace).db.close()
    with sqlite3.connect(workspace.runs.parent / "history.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InfraError, match="is of version 99"):
        History.of(workspace)


def test_a_database_of_an_older_lab_is_brought_up_to_date(workspace, monkeypatch):
    remember(workspace, a_run(workspace))
    later = (*schema.MIGRATIONS, "ALTER TABLE run ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    with History.of(workspace) as history:
        assert history.db.execute("SELECT mood FROM run").fetchone()[0] == "calm"
        assert history.db.execute("PRAGMA user_version").fetchone()[0] == len(later)


def standing(workspace, *runs):
    """The standing after runs: ``+`` passed, ``-`` failed, each with the kernel named beside it."""
    for sign, kernel in runs:
        remember(workspace, a_run(workspace, good=sign == "+", kernel=kernel))
    (track,) = trend.tracks(remembered(workspace))
    return track.standing.value


@pytest.mark.parametrize(
    ("runs", "wanted"),
    [
        (["+a", "+b"], "steady"),
        (["+a", "-b"], "suspect"),
        (["+a", "-b", "-b"], "regression"),
        (["+a", "-b", "-c"], "regression"),
        (["+a", "-a", "-a"], "regression"),  # the case or the host changed: it passed before, it fails and fails again
        (["-a", "-a"], "failing"),
        (["+a", "-b", "+b", "-b"], "flaky"),
        (["+a", "-b", "+b"], "flaky"),
        (["-a", "+b"], "fixed"),
        (["+a", "-b", "+b", "+c"], "fixed"),
    ],
)
def test_what_outcomes_over_time_amount_to(workspace, runs, wanted):
    assert standing(workspace, *runs) == wanted


def test_outcomes_of_other_conditions_do_not_count(workspace):
    remember(workspace, a_run(workspace, good=True))
    for _ in range(2):
        remember(workspace, a_run(workspace, good=False, config="kasan"))
    assert [track.standing.value for track in trend.tracks(remembered(workspace))] == ["steady", "failing"]


def test_a_regression_says_where_it_began_and_what_is_news(workspace):
    remember(workspace, a_run(workspace, kernel="aaaa"))
    for _ in range(2):
        remember(workspace, a_run(workspace, kernel="bbbb", console=WARNING))
    (track,) = trend.since(trend.tracks(remembered(workspace)), "2026-01-01T00:00:00Z")
    (complaint,) = track.last.complaints
    assert (track.last_good.kernel, track.first_bad.kernel, len(track.failing)) == ("aaaa", "bbbb", 2)

    def told(expires):
        known = {complaint.fingerprint: Known(title="t", reason="is being fixed", expires=expires)} if expires else {}
        lines = "\n".join(text.regression(track, known, TODAY))
        return trend.excused(track.last, known, TODAY), lines

    assert told(None)[0] is False
    assert "WARNING in drop_nlink" in told(None)[1]
    assert told(TODAY)[0] is True
    assert "known until 2026-11-25: is being fixed" in told(TODAY)[1]
    excused, lines = told(TODAY - datetime.timedelta(days=1))
    assert not excused
    assert "its declaration expired on 2026-11-24" in lines


def test_a_failed_assertion_is_never_excused_by_a_known_complaint(workspace):
    remember(workspace, a_run(workspace, good=False))
    (point,) = remembered(workspace)
    known = {"0" * 12: Known(title="t", reason="r", expires=TODAY)}
    assert not trend.excused(point, known, TODAY)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("[splats.0123]\ntitle='t'\nreason='r'\nexpires=2026-12-01\n", "is no fingerprint"),
        ("[splats.0123456789ab]\ntitle='t'\nreason=' '\nexpires=2026-12-01\n", "has a reason"),
        ("[splats.0123456789ab]\ntitle='t'\nreason='r'\n", "'expires' is missing"),
        ("[splats.0123456789ab]\ntitle='t'\nreason='r'\nexpires='soon'\n", "expires"),
        ("[splats.0123456789ab]\ntitle='t'\nraeson='r'\nexpires=2026-12-01\n", "unknown key 'raeson'"),
    ],
)
def test_known_complaints_are_declared_strictly(tmp_path, declared, message):
    path = tmp_path / "known-splats.toml"
    path.write_text(declared)
    with pytest.raises(DeclarationError, match=message):
        known_splats(path)


def test_two_runs_side_by_side(workspace):
    first = a_run(workspace, kernel="aaaa", cases=("alias", "orphan"))
    second = a_run(workspace, kernel="bbbb", good=False)
    for folder in (first, second):
        remember(workspace, folder)
    with History.of(workspace) as history:
        before, after = query.run(history, first.name), query.run(history, second.name)
        found = compare.pairs(query.points(history, run=before.name), query.points(history, run=after.name))
    assert [(pair.case, pair.same_verdict) for pair in found] == [("alias", False), ("orphan", False)]
    conditions = list(compare.conditions(before, after, found))
    assert conditions == [("kernel", "with: 6.12 + relink aaaa (aaaa)", "6.12 + relink bbbb (bbbb)")]
    told = list(text.compare(conditions, found, (before.name, after.name)))
    assert "  alias, with: PASS -> FAIL (EBADF), wanted PASS" in told
    assert "  orphan, with: PASS -> not run" in told


def test_a_run_that_is_not_there(workspace):
    with History.of(workspace) as history, pytest.raises(UserError, match="no run 'yesterday'"):
        query.run(history, "yesterday")


def test_durations_for_an_estimate(workspace):
    for _ in range(3):
        remember(workspace, a_run(workspace))
    with History.of(workspace) as history:
        assert query.durations(history) == {("ext4-unlinked", "with", "", "alias"): 0.5}


def test_seconds_of_a_nights_jobs(workspace):
    remember(workspace, a_run(workspace, nightly="n", job="6.12/plain/auto/ext4-unlinked"))
    remember(workspace, a_run(workspace, nightly="n", job="6.12/plain/auto/ext4-unlinked", attempt="1"))
    remember(workspace, a_run(workspace))
    with History.of(workspace) as history:
        history.db.execute("UPDATE run SET duration = CASE WHEN attempt THEN 1 ELSE 9 END")
        assert query.job_seconds(history) == {"6.12/plain/auto/ext4-unlinked": 9.0}


def test_moments():
    now = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC)
    assert moment.since("36h", now) == "2026-11-24T00:00:00Z"
    assert moment.since("2w", now) == "2026-11-11T12:00:00Z"
    assert moment.since("2026-11-01T18:00:00+02:00", now) == "2026-11-01T16:00:00Z"
    with pytest.raises(UserError, match="is no moment"):
        moment.since("soon", now)


@pytest.mark.skipif(not process.sandbox_works(), reason="bubblewrap cannot make a read-only folder here")
def test_a_history_that_cannot_be_written_is_not_called_broken(tmp_path):
    schema.connect(tmp_path / "history.db").close()
    program = (
        "import sys; from pathlib import Path; from harness.history.schema import connect\n"
        "from harness.errors import InfraError\n"
        "try: connect(Path(sys.argv[1]))\n"
        "except InfraError as exc: print(exc.hint)\n"
    )
    prefixes = (Path(sys.prefix), Path(sys.base_prefix))
    box = process.Sandbox(readable=(tmp_path, ROOT, *prefixes))
    asked = [sys.executable, "-B", "-c", program, str(tmp_path / "history.db")]
    done = process.run(asked, cwd=ROOT, sandbox=box)
    assert done.stdout.startswith(f"{tmp_path} cannot be written")


def test_a_history_that_is_none_may_be_moved_away(tmp_path):
    (tmp_path / "history.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(InfraError) as raised:
        schema.connect(tmp_path / "history.db")
    assert "move it away" in raised.value.hint


def test_a_run_is_not_compared_with_itself(workspace, monkeypatch):
    path = a_run(workspace)
    remember(workspace, path)
    monkeypatch.setenv("LAB_WORKSPACE", str(workspace.root))
    answer = CliRunner().invoke(lab, ["compare", path.name])
    assert isinstance(answer.exception, UserError)
    assert "are one run" in answer.exception.message
