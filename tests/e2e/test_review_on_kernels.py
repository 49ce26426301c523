"""`lab review` on real kernels: a clean series of two patches to fs/namei.c, and one whose middle ones are broken.

Of both only what the series touches is compiled: some kernels of a minute each where that of 6.12 is there.
"""

import re
import shutil

import pytest

from .conftest import TREE, copy_workspace, review

pytestmark = [pytest.mark.vm, pytest.mark.build]

DATA = TREE / "tests" / "data"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A workspace with the suite that these series are about."""
    made = copy_workspace(tmp_path_factory.mktemp("review"))
    shutil.copytree(DATA / "loops", made.workspace / "testcases" / "loops")
    return made


def clean(folder):
    """The clean series as one mbox."""
    mbox = folder / "series.mbox"
    mbox.write_bytes(b"".join(path.read_bytes() for path in sorted((DATA / "series" / "self-symlink").glob("*.patch"))))
    return mbox


def marks(made):
    """Each patch's outcomes, by check."""
    return [{result["check"]: result["outcome"] for result in patch["results"]} for patch in made["patches"]]


def test_a_clean_series_from_mails_to_evidence(lab, tmp_path):
    argv = (clean(tmp_path), "--run", "ext4-loops", "--repeat", 2, "--tester", "T <t@example.org>")
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
    assert [(each["failed_before"], each["failed_after"], each["runs"]) for each in made["flaky"]] == [(0, 0, 2)] * 2
    assert "Tested-by: T <t@example.org>" in (folder / "reply.txt").read_text()
    # The same again: nothing is built, nothing is run, and it says so.
    said, again, _ = review(lab, *argv)
    assert {ran["scenario"] for ran in again["runs"] if ran["since"]} == {"ext4-loops"}
    assert all(ran["since"] for ran in again["runs"])
    assert "from an earlier run: 14 verdicts of ext4-loops, results/runs/" in said
    assert "guest    tiny" not in said
    for row in (*again["matrix"], *made["matrix"]):
        for cell in row["cells"].values():
            cell.pop("since", None)
    assert again["matrix"] == made["matrix"]
    assert again["flaky"] == made["flaky"]


@pytest.mark.whole
def test_middle_patches_that_do_not_compile_or_boot_stop_nothing(lab):
    argv = (DATA / "series" / "broken-middle", "--only", "apply,build,boot", "--run", "ext4-loops/other_name")
    said, made, folder = review(lab, *argv, code=1)
    assert [(each["build"], each["boot"]) for each in marks(made)] == [
        ("good", "good"), ("red", "not done"), ("good", "red"), ("good", "good"),
    ]  # fmt: skip
    assert re.search("error: .names. undeclared", said)
    assert "kernel BUG at " in said
    assert "fs/namei.c:4700!" in said
    [row] = made["matrix"]
    assert {state: cell["status"] for state, cell in row["cells"].items()} == {
        "without": "PASS", "1": "PASS", "3": "MISS", "4": "PASS",
    }  # fmt: skip
    assert (row["turn"], row["met"]) == ("broken", False)
    console = row["cells"]["3"]["message"]
    assert "Kernel panic - not syncing" in console
    assert "EXT4-fs (vda): mounted" not in console  # as that of the next patch's guest
    assert made["not_run"] == [["2", "build"]]
    reply = (folder / "reply.txt").read_text()
    assert "Tested-by" not in reply
    assert "[2/4] fs: check leads_to_itself() at boot\n    build:\n" in reply


def test_a_bisection(lab):
    said = lab.run("review", str(DATA / "series" / "self-symlink"), "--bisect", "ext4-loops/own_name")
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "turned green by patch 2: fs: refuse a symlink to its own name"


@pytest.mark.whole
def test_which_added_lines_are_run(lab, tmp_path):
    argv = (clean(tmp_path), "--only", "apply", "--run", "ext4-loops", "--coverage")
    said, made, folder = review(lab, *argv)
    ran = {
        line["text"].strip(): [case.partition("/")[2] for case in line["cases"]] for line in made["coverage"]["lines"]
    }
    assert ran["target += 2;"] == []
    assert ran["error = -ELOOP;"] == ["own_name", "other_name"]
    assert "not run: fs/namei.c:" in said
    assert "run by no case" in (folder / "report.html").read_text()
    _, again, _ = review(lab, *argv)
    assert again["coverage"]["since"]
    assert again["coverage"]["lines"] == made["coverage"]["lines"]
