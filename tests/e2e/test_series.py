"""`lab series` on the real tree: the table, the status, and what it says of mistakes. The guests are tests/vm's."""

import pytest

from .test_mistakes import DOES_NOT_APPLY, NEW_FILE

pytestmark = pytest.mark.build

ONLY = ("--only", "apply,style")


def test_the_series_that_ship_are_listed_with_what_they_require(spoiled):
    said = spoiled.run("series", "list").stdout
    assert "checkpoint-relink" in said
    assert "after checkpoint-core" in said
    shown = spoiled.run("series", "show", "checkpoint-relink").stdout.splitlines()
    assert len(shown) == len(list((spoiled.workspace / "kernel-patches/checkpoint-relink").glob("0*.patch"))) - 1


def test_red_patches_are_told_and_the_walk_goes_to_its_end(spoiled, add_series):
    space = NEW_FILE.format(name="fs/lab.c", line="int lab_is_here ;")
    add_series("mixed", {"not there": DOES_NOT_APPLY, "fs: space": space})
    done = spoiled.run("series", "check", "mixed", *ONLY)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    table = [line.split()[:3] for line in lines[lines.index("mixed on 6.12") + 2 :]]
    assert table[:2] == [["1", "RED", "RED"], ["2", "ok", "RED"]]
    assert "0001-not-there.patch (patch 1 of 2" in done.stdout
    assert "the patch wants" in done.stdout
    assert "fs/lab.c:1: warning: space prohibited before semicolon [SPACING]" in done.stdout
    assert "[MISSING_SIGN_OFF]" in done.stdout
    assert "0 of 2 patches good" in done.stdout


def test_what_the_series_explains_is_no_complaint(spoiled, add_series):
    add_series(
        "explained", {"fs: file": NEW_FILE.format(name="fs/lab.h", line="/* SPDX-License-Identifier: GPL-2.0 */")}
    )
    toml = spoiled.workspace / "kernel-patches/explained/series.toml"
    kinds = ("MISSING_SIGN_OFF", "FILE_PATH_CHANGES", "COMMIT_MESSAGE")
    excuses = "".join(f'[[check.excuses]]\nkind = "{kind}"\nreason = "a test"\n' for kind in kinds)
    toml.write_text(f"{toml.read_text()}{excuses}")
    done = spoiled.run("series", "check", "explained", *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "explained in series.toml" in done.stdout


def test_mistakes(spoiled):
    done = spoiled.run("series", "check", "checkpoint-relnk")
    assert done.returncode == 2
    assert "there is no series 'checkpoint-relnk'" in done.stderr
    done = spoiled.run("series", "check", "checkpoint-relink", "--only", "styl")
    assert done.returncode == 2
    assert "Did you mean 'style'?" in done.stderr
    toml = spoiled.workspace / "kernel-patches/checkpoint-relink/series.toml"
    toml.write_text(toml.read_text() + '\n[[check.excuses]]\nknd = "LONG_LINE"\nreason = "x"\n')
    done = spoiled.run("series", "check", "checkpoint-relink")
    assert done.returncode == 2
    assert "series.toml:" in done.stderr
    assert "unknown key 'knd'" in done.stderr
