"""`lab review` as a reviewer types it, on the source of 6.12: two series to fs/namei.c, and a reply of 2010."""

import shutil

import pytest

from .conftest import TREE, copy_workspace, review

DATA = TREE / "tests" / "data"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return copy_workspace(tmp_path_factory.mktemp("review"))


def marks(made):
    """Each patch's outcomes, by check."""
    return [{result["check"]: result["outcome"] for result in patch["results"]} for patch in made["patches"]]


def test_a_clean_series_finds_its_base_and_is_told_of(lab, tmp_path):
    mbox = tmp_path / "series.mbox"
    mbox.write_bytes(b"".join(path.read_bytes() for path in sorted((DATA / "series" / "self-symlink").glob("*.patch"))))
    said, made, folder = review(lab, mbox, "--only", "apply,style", "--tester", "T <t@example.org>")
    assert made["base"] == "6.12"
    assert made["why_base"] == "1 of 1 files are as the patches want them"
    assert marks(made) == [{"apply": "good", "style": "good"}] * 2
    assert "all checks good, no case was run" in said
    assert "Tested-by" not in (folder / "reply.txt").read_text()  # no case was run
    assert "leads_to_itself" in (folder / "report.html").read_text()


def test_a_series_of_four_patches_in_files_of_any_order(lab):
    files = sorted((DATA / "series" / "broken-middle").glob("*.patch"), reverse=True)
    _, made, _ = review(lab, *files, "--only", "apply")
    assert [patch["number"] for patch in made["patches"]] == [1, 2, 3, 4]
    assert marks(made) == [{"apply": "good"}] * 4


def test_a_cover_letter_that_names_a_base_nobody_has(lab, tmp_path):
    shutil.copytree(DATA / "series" / "self-symlink", tmp_path / "mails")
    cover = tmp_path / "mails" / "0000-cover-letter.patch"
    cover.write_text(cover.read_text().replace("Patch 1\n", f"Patch 1\nbase-commit: {'ab' * 20}\n"))
    said, made, _ = review(lab, tmp_path / "mails", "--only", "apply")
    assert "which no tree here has" in said
    assert made["base"] == "6.12"


def test_a_cover_letter_that_names_the_wrong_base(lab, tmp_path):
    shutil.copytree(DATA / "series" / "self-symlink", tmp_path / "mails")
    cover = tmp_path / "mails" / "0000-cover-letter.patch"
    cover.write_text(cover.read_text().replace("Patch 1\n", "Patch 1\nBased-on: v6.1\n"))
    done = lab.run("review", str(tmp_path / "mails"), "--only", "apply")
    assert done.returncode == 2
    assert "on 6.1 (Based-on: v6.1):" in done.stderr
    assert "it applies to 6.12: --base 6.12" in done.stderr


def test_the_series_of_a_reply_that_fits_no_base_here(lab):
    done = lab.run("review", "--reply", str(DATA / "mail" / "review-of-2010.txt"), "--base", "6.12")
    assert done.returncode == 2
    assert "fs/namei.c:2554, checkpoint_fill_relink_fname()" in done.stdout
    assert "fs/checkpoint.c: the tree has no such file" in done.stderr
    assert "does not apply" in done.stderr
