"""Each mistake as a new user makes it: a clear message, the right exit code, and nothing broken after."""

import json
import os

import pytest

from .conftest import children_of, interrupt, until

pytestmark = [pytest.mark.vm, pytest.mark.build]

CASE = "ext4-unlinked/orphan_comes_back"

DOES_NOT_APPLY = """\
diff --git a/fs/ext4/file.c b/fs/ext4/file.c
--- a/fs/ext4/file.c
+++ b/fs/ext4/file.c
@@ -1,3 +1,4 @@
 // SPDX-License-Identifier: MIT
 /*
+ * nothing
  *  linux/fs/ext4/file.c
"""
NEW_FILE = """\
diff --git a/{name} b/{name}
new file mode 100644
--- /dev/null
+++ b/{name}
@@ -0,0 +1 @@
+{line}
"""
DOES_NOT_COMPILE = """\
diff --git a/fs/d_path.c b/fs/d_path.c
--- a/fs/d_path.c
+++ b/fs/d_path.c
@@ -1,4 +1,5 @@
 /* SPDX-License-Identifier: GPL-2.0 */
+int lab_is_wrong(void) { return undeclared_name; }
 #include <linux/syscalls.h>
 #include <linux/export.h>
 #include <linux/uaccess.h>
"""


def test_a_wrong_key(spoiled):
    suite = spoiled.workspace / "testcases" / "unlinked" / "suite.toml"
    before, _, after = suite.read_text().partition("filesystems")
    suite.write_text(f"{before}filesytems{after}")
    done = spoiled.run("run", CASE)
    assert done.returncode == 2
    assert f"suite.toml:{before.count(chr(10)) + 1}: unknown key 'filesytems'" in done.stderr
    assert "did you mean 'filesystems'?" in done.stderr
    assert not spoiled.runs()


def test_a_patch_that_does_not_apply(spoiled, add_series):
    add_series("wrong", {"change what is not there": DOES_NOT_APPLY})
    done = spoiled.run("run", CASE, "--series", "wrong", "--at", "with")
    assert done.returncode == 2
    assert "0001-change-what-is-not-there.patch" in done.stderr
    assert "fs/ext4/file.c" in done.stderr


def test_a_patch_that_leaves_the_tree(spoiled, add_series):
    add_series("escape", {"write elsewhere": NEW_FILE.format(name="../escaped", line="out")})
    done = spoiled.run("run", CASE, "--series", "escape", "--at", "with")
    assert done.returncode == 2
    assert "../escaped" in done.stderr


def test_a_patch_that_does_not_compile_and_then_one_that_does(spoiled, add_series):
    add_series("broken", {"break the build": DOES_NOT_COMPILE})
    done = spoiled.run("run", CASE, "--series", "broken", "--at", "with")
    assert done.returncode == 3
    assert "fs/d_path.c:2" in done.stderr
    assert "undeclared_name" in done.stderr
    assert "the whole log:" in done.stderr
    assert spoiled.run("run", CASE).returncode == 0


def test_a_kernel_that_never_is_ready(spoiled):
    agent = spoiled.workspace / "images" / "tiny" / "agent.c"
    agent.write_text("int main(void)\n{\n\treturn 1;\n}\n")
    result = spoiled.answer(CASE, "--at", "with", code=1)
    (case,) = result["cases"]
    assert case["outcome"]["kind"] == "no-boot"
    assert "Attempted to kill init" in case["outcome"]["message"]


def test_a_case_that_does_not_compile(spoiled):
    program = spoiled.workspace / "testcases" / "unlinked" / "unlinked_test.c"
    program.write_text(program.read_text() + "\nint wrong(void) { return undeclared_name; }\n")
    done = spoiled.run("run", CASE)
    assert done.returncode == 3
    assert "undeclared_name" in done.stderr


def test_a_tool_that_is_missing(spoiled, tmp_path):
    filesystem = spoiled.workspace / "images" / "filesystems" / "ext4.toml"
    filesystem.write_text(filesystem.read_text().replace("mke2fs", "mkfs.not-there"))
    done = spoiled.run("run", CASE)
    assert done.returncode == 4
    assert "mkfs.not-there is not installed" in done.stderr


def test_interrupted_while_guests_run(lab):
    before = set(lab.runs())
    run = lab.start("run", "selftest/timeout")
    until(lambda: any("-nodefaults" in args for _, args in children_of(run.pid)), 60)
    guests = [pid for pid, _ in children_of(run.pid)]
    said = interrupt(run)
    assert run.returncode == 130
    assert "nothing is left running" in said
    # The kernel takes down the sandbox's namespace a moment after its first process.
    until(lambda: not [pid for pid in guests if os.path.exists(f"/proc/{pid}")], 2)  # noqa: PTH110
    (folder,) = set(lab.runs()) - before
    assert json.loads((folder / "result.json").read_text())["status"] == "killed"
    assert folder.name in lab.run("results").stdout


def test_killed_outright(lab):
    before = set(lab.runs())
    run = lab.start("run", "selftest/timeout")
    until(lambda: any("-nodefaults" in args for _, args in children_of(run.pid)), 60)
    guests = [pid for pid, _ in children_of(run.pid)]
    run.kill()
    run.communicate()
    until(lambda: not [pid for pid in guests if os.path.exists(f"/proc/{pid}")], 5)  # noqa: PTH110
    (folder,) = set(lab.runs()) - before
    assert f"{folder.name}  killed (no result)" in lab.run("results").stdout


def test_results_that_cannot_be_written(lab):
    """A file stands where the folder of runs should be."""
    blocked = lab.workspace / "results" / "runs"
    aside = blocked.with_name("aside")
    blocked.parent.mkdir(exist_ok=True)
    if blocked.exists():
        blocked.rename(aside)
    blocked.write_text("")
    try:
        done = lab.run("run", "selftest/pass")
    finally:
        blocked.unlink()
        if aside.exists():
            aside.rename(blocked)
    assert done.returncode == 4
    assert "results/runs" in done.stderr
