"""Nights on real guests: the base alone is enough, the harness's own bad guests are what goes wrong."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from .conftest import children_of, interrupt, until

pytestmark = [pytest.mark.vm, pytest.mark.build]

QUICK = ("pass", "fail", "skip", "crash_in_test", "warn_splat", "oops")


@pytest.fixture
def night(spoiled):
    """A workspace whose nightly is a few cases of the selftest suite, twice; their kernel is there."""
    suite = spoiled.workspace / "testcases" / "selftest" / "suite.toml"
    head, *cases = suite.read_text().split("\n[cases.")
    kept = [case for case in cases if case.split("]")[0].split(".")[0] in QUICK]
    suite.write_text(head + "".join(f"\n[cases.{case}" for case in kept))
    (spoiled.workspace / "nightly.toml").write_text('repeat = 2\n[matrix]\nsuites = ["selftest"]\n')
    built = spoiled.run("build", "selftest")
    assert built.returncode == 0, built.stdout + built.stderr
    return spoiled


def change(night, old, new):
    path = night.workspace / "testcases" / "selftest" / "suite.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def summary(night):
    folder = sorted((night.workspace / "results" / "nightly").glob("*"))[-1]
    return folder, json.loads((folder / "night.json").read_text())


def rows(night, question):
    with sqlite3.connect(night.workspace / "results" / "history.db") as db:
        return db.execute(question).fetchall()


def test_a_plan_runs_nothing(night):
    done = night.run("nightly", "--plan")
    assert done.returncode == 0, done.stderr
    assert re.search(r"2 cells on \d+ cores?: about .*; kernels: 1 in the cache, 0 to be built", done.stdout)
    assert not (night.workspace / "results" / "nightly").exists()


def test_a_night_as_promised(night):
    done = night.run("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    folder, said = summary(night)
    assert said["counts"] == {"met": len(QUICK)}
    assert {path.name for path in folder.iterdir()} >= {"plan.json", "summary.txt", "summary.html", "junit.xml"}
    assert rows(night, "SELECT DISTINCT nightly FROM run") == [(folder.name,)]
    assert rows(night, "SELECT COUNT(*) FROM run") == [(2,)]


def test_a_case_that_fails_is_run_again_forked_and_cold(night):
    change(night, 'title = "a test that passes"', 'title = "t"\nexpect.base = { status = "FAIL" }')
    done = night.run("nightly")
    assert done.returncode == 1, done.stdout + done.stderr
    assert summary(night)[1]["counts"] == {"failed": 1, "met": len(QUICK) - 1}
    again = rows(night, "SELECT job, attempt, guests, planned FROM run ORDER BY job, attempt")
    assert [(attempt, guests, planned) for _, attempt, guests, planned in again] == [
        (0, "forked", len(QUICK)), (1, "forked", 1), (2, "cold", 1),
    ] * 2  # fmt: skip
    assert "failed  selftest/pass" in done.stdout
    assert "6 of 6 failed" in done.stdout
    assert "lab run selftest/pass --at base --base 6.12" in done.stdout


def test_a_regression_between_two_nights_and_a_complaint_that_is_known(night):
    """What warns tonight passed last night: the kernel did not change, the case's program did."""
    program = night.workspace / "testcases" / "selftest" / "verdict_test.c"
    source = program.read_text()
    warns = re.search(r'^\tprovoke.*"WARNING".*$', source, re.M) or re.search(r"^.*WARNING.*$", source, re.M)
    assert warns
    change(night, 'expect.base = { status = "FAIL", kind = "splat" }\n', "")
    program.write_text(source.replace(warns.group(0), "\t(void)0;"))
    assert night.run("nightly").returncode == 0
    program.write_text(source)
    done = night.run("nightly")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regression over all nights" in done.stdout
    told = night.run("regressions", "--since", "1d")
    assert told.returncode == 1
    assert "selftest/warn_splat" in told.stdout
    fingerprint = re.search(r"\[([0-9a-f]{12})\]  new", told.stdout).group(1)
    (night.workspace / "known-splats.toml").write_text(
        f'[splats.{fingerprint}]\ntitle = "t"\nreason = "lkdtm does it on purpose"\nexpires = 2999-12-31\n'
    )
    assert night.run("regressions").returncode == 0
    done = night.run("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 known" in done.stdout


def test_a_killed_night_goes_on_where_it_was(night):
    lab = night.start("nightly", "-j", "1")
    # The file is there a moment before its first line: a night killed between them runs that job again.
    reports = "results/nightly/*/reports.jsonl"
    until(lambda: any(path.read_text().endswith("\n") for path in night.workspace.glob(reports)), 120)
    lab.send_signal(signal.SIGKILL)
    lab.communicate(timeout=30)
    done = night.run("nightly", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(night)[1]["reports"] == 2
    runs = rows(night, "SELECT job, attempt FROM run WHERE status = 'done'")
    assert len(runs) == 2
    assert summary(night)[1]["counts"] == {"met": len(QUICK)}
    assert "came to its end" in night.run("nightly", "--resume").stderr


def test_a_workspace_that_changed_is_not_gone_on_with(night):
    for command in (["init", "-q"], ["add", "-A", "."], ["commit", "-qm", "t"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *command], cwd=night.workspace, check=True)
    lab = night.start("nightly", "-j", "1")
    until(lambda: list(night.workspace.glob("results/nightly/*/plan.json")), 60)
    time.sleep(0.5)
    lab.send_signal(signal.SIGKILL)
    lab.communicate(timeout=30)
    change(night, "a test that passes", "a test that passes today")
    done = night.run("nightly", "--resume")
    assert done.returncode == 2
    assert "the workspace changed since" in done.stderr


def test_ctrl_c_stops_everything(night):
    lab = night.start("nightly")
    until(lambda: any("qemu" in args for _, args in children_of(lab.pid)), 60)
    time.sleep(0.3)
    family = children_of(lab.pid)
    out = interrupt(lab)
    assert lab.returncode == 130, out
    until(lambda: not [pid for pid, _ in family if os.path.exists(f"/proc/{pid}")], 2)  # noqa: PTH110
    assert rows(night, "SELECT status FROM nightly") == [("killed",)]
    assert rows(night, "SELECT COUNT(*) FROM outcome WHERE kind IN ('lost', 'killed')") == [(0,)]


def test_a_kernel_that_does_not_build_leaves_the_rest(night, add_series):
    add_series("broken", {"break it": BREAKS})
    suite = night.workspace / "testcases" / "broken"
    suite.mkdir()
    (suite / "suite.toml").write_text('title = "t"\nseries = "broken"\n[cases.one]\ntitle = "t"\n')
    (suite / "one_test.c").write_text('#include "harness.h"\nTEST(one) { }\nTEST_HARNESS_MAIN\n')
    (night.workspace / "nightly.toml").write_text(
        '[matrix]\nsuites = ["selftest", "broken"]\nstates = ["base", "with"]\n'
    )
    done = night.run("nightly")
    assert done.returncode == 2, done.stdout + done.stderr
    assert summary(night)[1]["counts"] == {"met": len(QUICK)}
    assert "not run  6.12/plain/auto/broken" in done.stdout


BREAKS = """\
diff --git a/fs/no_such_file.c b/fs/no_such_file.c
--- a/fs/no_such_file.c
+++ b/fs/no_such_file.c
@@ -1,1 +1,1 @@
-int nothing;
+int something;
"""


def commit(night, message):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    (night.workspace / ".gitignore").write_text("results\n")
    for command in (["init", "-q"], ["add", "-A", "."], ["commit", "-qm", message]):
        subprocess.run(["git", *who, *command], cwd=night.workspace, check=True)


def test_a_planted_regression_is_found_bisected_and_shown(night):
    """Five commits after a good night one is to blame; the one before it does not compile."""
    (night.workspace / "nightly.toml").write_text('[matrix]\nsuites = ["selftest"]\n')
    program = night.workspace / "testcases" / "selftest" / "verdict_test.c"
    source = program.read_text()
    good = re.search(r"TEST\(pass\)\s*\{", source).group(0)
    commit(night, "the beginning")
    assert night.run("nightly").returncode == 0
    for message, text in (
        ("say more in a comment", source + "/* more */\n"),
        ("begin a change", source + "this does not compile\n"),
        ("expect the wrong thing", source.replace(good, good + "\n\tASSERT_EQ(1, 2);")),
        ("say even more", source.replace(good, good + "\n\tASSERT_EQ(1, 2);") + "/* more */\n"),
        ("and more", source.replace(good, good + "\n\tASSERT_EQ(1, 2);") + "/* even more */\n"),
    ):
        program.write_text(text)
        commit(night, message)
    done = night.run("nightly")
    assert done.returncode == 1, done.stdout + done.stderr
    folder, _ = summary(night)
    ((culprits, subject, over, steps),) = rows(night, "SELECT culprit, subject, over, steps FROM bisect")
    assert over == "commits of the workspace"
    assert "skipped" in steps
    names = subprocess.run(
        ["git", "log", "--format=%h %s", "--abbrev=12"], cwd=night.workspace, capture_output=True, text=True, check=True
    ).stdout
    hashes = {line.split(" ", 1)[1]: line.split(" ", 1)[0] for line in names.splitlines()}
    assert culprits.split() == [hashes["begin a change"], hashes["expect the wrong thing"]]
    assert subject == "one of these: those before the last cannot be tried"
    for told in (done.stdout, (folder / "summary.txt").read_text(), (folder / "summary.html").read_text()):
        assert hashes["expect the wrong thing"] in told
    assert "1 regressions" in done.stdout
