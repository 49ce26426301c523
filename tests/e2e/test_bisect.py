"""A regression planted into a series of kernel patches: the next night finds it, and names the patch."""

import json
import sqlite3

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.vm, pytest.mark.build]

DIFF = """\
diff --git a/fs/namei.c b/fs/namei.c
--- a/fs/namei.c
+++ b/fs/namei.c
@@ -1043,7 +1043,7 @@ static int sysctl_protected_symlinks __read_mostly = 1;
 static int sysctl_protected_hardlinks __read_mostly = 1;
 static int sysctl_protected_fifos __read_mostly;
 static int sysctl_protected_regular __read_mostly;
-static int sysctl_protected_names __read_mostly{old};
+static int sysctl_protected_names __read_mostly{new};
 {nothing}
 #ifdef CONFIG_SYSCTL
 static struct ctl_table namei_sysctls[] = {{
"""
LATER = (
    ("fs: say where fs.protected_names is used", "", " /* may_use_name() */"),
    ("fs: protect names for everybody", " /* may_use_name() */", " = 1"),
    ("fs: keep fs.protected_names beside its kin", " = 1", " = 1 /* like hardlinks */"),
)
"""Three patches on top of the example's two: subject, and what follows the variable before and after. The second turns
on what must be off by default."""


@pytest.fixture
def names(lab, tmp_path):
    """The example's workspace. ``lab`` comes first: it has built the plain base already."""
    folder = tmp_path / "names"
    made = lab.run("init", str(folder))
    assert made.returncode == 0, made.stdout + made.stderr
    (folder / "nightly.toml").write_text('[matrix]\nsuites = ["names"]\n')
    return Lab(folder)


def append(names):
    """The three later patches, as somebody sends them."""
    series = names.workspace / "kernel-patches" / "protected-names"
    for number, (subject, old, new) in enumerate(LATER, 3):
        name = f"{number:04}-later.patch"
        head = (
            f"From: A <a@example.org>\nDate: Wed, 25 Nov 2026 12:00:00 +0000\nSubject: [PATCH {number}/5] {subject}\n"
        )
        (series / name).write_text(
            f"{head}\nSo.\n\nSigned-off-by: A <a@example.org>\n---\n{DIFF.format(old=old, new=new, nothing='')}"
        )
        with (series / "series").open("a") as order:
            order.write(f"{name}\n")


def test_the_patch_that_broke_a_case_is_named(names):
    first = names.run("nightly")
    assert first.returncode == 0, first.stdout + first.stderr
    append(names)
    second = names.run("nightly")
    assert second.returncode == 1, second.stdout + second.stderr
    with sqlite3.connect(names.workspace / "results" / "history.db") as db:
        found = db.execute("SELECT case_name, state, over, culprit, subject, steps FROM bisect").fetchall()
    ((case, state, over, culprit, subject, steps),) = found
    assert (case, state, over) == ("off_by_default", "with", "patches of protected-names")
    assert (culprit, subject) == ("patch 4", "fs: protect names for everybody")
    assert "good  patch 3" in steps
    assert "bad  patch 4" in steps
    folder = sorted((names.workspace / "results" / "nightly").glob("*"))[-1]
    # old_names_can_go needs it off to begin with; red without the series, it has no good end to walk from.
    assert json.loads((folder / "night.json").read_text())["counts"]["failed"] == 2
    for told in (second.stdout, (folder / "summary.txt").read_text(), (folder / "summary.html").read_text()):
        assert "fs: protect names for everybody" in told
