"""`lab review` on real kernels: a clean series of two patches to fs/namei.c, one whose middle patch does not boot."""

import json
import shutil

import pytest

from .conftest import TREE, copy_workspace

DATA = TREE / "tests" / "data"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A workspace with the suite that these series are about."""
    made = copy_workspace(tmp_path_factory.mktemp("review"))
    shutil.copytree(DATA / "loops", made.workspace / "testcases" / "loops")
    return made


def review(lab, *argv, code=0):
    done = lab.run("review", *map(str, argv))
    assert done.returncode == code, done.stdout + done.stderr
    folder = max((lab.workspace / "results" / "reviews").iterdir(), key=lambda path: path.name)
    return done.stdout, json.loads((folder / "review.json").read_text()), folder


def marks(made):
    """Each patch's outcomes, by check."""
    return [{result["check"]: result["outcome"] for result in patch["results"]} for patch in made["patches"]]


@pytest.mark.build
def test_a_clean_series_from_mails_to_evidence(lab, tmp_path):
    mbox = tmp_path / "series.mbox"
    mbox.write_bytes(b"".join(path.read_bytes() for path in sorted((DATA / "series" / "self-symlink").glob("*.patch"))))
    argv = (mbox, "--run", "ext4-loops", "--coverage", "--repeat", 2, "--tester", "T <t@example.org>")
    said, made, folder = review(lab, *argv)
    assert made["base"] == "6.12"
    assert made["why_base"] == "1 of 1 files are as the patches want them"
    assert marks(made) == [dict.fromkeys(marks(made)[0], "good")] * 2
    rows = {row["case"]: row for row in made["matrix"]}
    assert {state: cell["word"] for state, cell in rows["own_name"]["cells"].items()} == {
        "without": "FAIL (success)", "1": "FAIL (success)", "2": "PASS",
    }  # fmt: skip
    assert [rows["own_name"][key] for key in ("turn", "found", "claimed")] == ["as claimed", 2, 2]
    assert rows["other_name"]["turn"] == "kept"
    ran = {
        line["text"].strip(): [case.partition("/")[2] for case in line["cases"]] for line in made["coverage"]["lines"]
    }
    assert ran["target += 2;"] == []
    assert ran["error = -ELOOP;"] == ["own_name", "other_name"]
    assert "not run: fs/namei.c:" in said
    assert [(each["failed_before"], each["failed_after"], each["runs"]) for each in made["flaky"]] == [(0, 0, 2)] * 2
    assert "Tested-by: T <t@example.org>" in (folder / "reply.txt").read_text()
    assert "run by no case" in (folder / "report.html").read_text()
    # The same again: nothing is built, and the cases of the matrix are those that were run.
    said, again, _ = review(lab, *argv)
    assert [ran["recalled"] for ran in again["runs"]] == [True]
    assert "building" not in said
    assert again["matrix"] == made["matrix"]


@pytest.mark.build
def test_a_middle_patch_that_does_not_boot_stops_nothing(lab):
    argv = (DATA / "series" / "no-boot", "--only", "apply,build,boot", "--run", "ext4-loops/other_name")
    said, made, _ = review(lab, *argv, code=1)
    assert [each["boot"] for each in marks(made)] == ["good", "red", "good"]
    assert [each["build"] for each in marks(made)] == ["good"] * 3
    assert "Kernel panic" in said or "BUG" in said
    [row] = made["matrix"]
    assert [row["cells"][state]["status"] for state in ("without", "1", "2", "3")] == ["PASS", "PASS", "MISS", "PASS"]
    assert (row["turn"], row["met"]) == ("broken", False)


@pytest.mark.build
def test_a_bisection(lab):
    said = lab.run("review", str(DATA / "series" / "self-symlink"), "--bisect", "ext4-loops/own_name")
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "turned green by patch 2: fs: refuse a symlink to its own name"


def test_the_series_of_a_reply_that_fits_no_base_here(lab):
    done = lab.run("review", "--reply", str(DATA / "mail" / "review-of-2010.txt"), "--base", "6.12")
    assert done.returncode == 2
    assert "fs/namei.c:2554, checkpoint_fill_relink_fname()" in done.stdout
    assert "fs/checkpoint.c: the tree has no such file" in done.stderr
    assert "does not apply" in done.stderr
