"""The commit of a git tree whose files are as patches want them, in a history with branches, merges and tags."""

import os
import subprocess

import pytest

from harness import process
from harness.review import lineage

NAMED = {"NAME": "n", "EMAIL": "n@example.org"}
WHO = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in NAMED.items()}


class Tree:
    """A git tree that is made in seconds of its own, so that newest is what was made last."""

    def __init__(self, path):
        self.path = path
        self.clock = 1_000_000_000
        self.git("init", "-q", "-b", "main")

    def git(self, *argv):
        self.clock += 60
        when = {"GIT_AUTHOR_DATE": f"{self.clock} +0000", "GIT_COMMITTER_DATE": f"{self.clock} +0000"}
        done = subprocess.run(
            ["git", *argv], cwd=self.path, env=os.environ | WHO | when, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, **files):
        for name, text in files.items():
            if text is None:
                (self.path / name).unlink()
            else:
                (self.path / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "m")
        return self.git("rev-parse", "HEAD")

    def wanted(self, commit, *names):
        """What a patch to these files as a commit has them wants."""
        said = (self.git("rev-parse", "--verify", "-q", f"{commit}:{name}") for name in names)
        return dict(zip(names, (blob[:12] for blob in said), strict=True))


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_the_newest_commit_before_one_of_the_files_changed(tree):
    tree.commit(a="1", b="1", c="1")
    tree.commit(a="2")
    last = tree.commit(c="2")
    tree.commit(b="2")
    tree.commit(a="3")
    assert lineage.newest_with(tree.path, tree.wanted(last, "a", "b")) == last


def test_a_tip_that_has_them_is_preferred(tree):
    first = tree.commit(a="1", b="1")
    tree.git("tag", "-a", "v1", "-m", "one")
    tree.commit(a="2")
    tree.git("checkout", "-q", "-b", "side", first)
    side = tree.commit(c="1")
    tree.git("checkout", "-q", "main")
    assert lineage.newest_with(tree.path, tree.wanted(first, "a", "b")) == side


def test_both_sides_of_a_merge_and_what_it_made_of_them(tree):
    tree.commit(a="1\n\n\n\n\n1\n", b="1")
    tree.git("checkout", "-q", "-b", "side")
    side = tree.commit(a="2\n\n\n\n\n1\n")
    tree.git("checkout", "-q", "main")
    main = tree.commit(a="1\n\n\n\n\n2\n")
    tree.git("merge", "-q", "--no-edit", "side")
    merge = tree.git("rev-parse", "HEAD")
    tree.git("branch", "-q", "-D", "side")
    tree.commit(a="3")
    for commit in (side, main, merge):
        assert lineage.newest_with(tree.path, tree.wanted(commit, "a", "b")) == commit


def test_files_that_must_not_be_there(tree):
    before = tree.commit(a="1")
    tree.commit(b="1")
    gone = tree.commit(b=None)
    tree.commit(a="2", b="2")
    assert lineage.newest_with(tree.path, {"a": tree.wanted(before, "a")["a"], "b": "0" * 12}) == gone


def test_none_has_them(tree):
    assert lineage.newest_with(tree.path, {"a": "1" * 12}) == ""
    tree.commit(a="1")
    assert lineage.newest_with(tree.path, {"a": "1" * 12}) == ""


def test_a_history_that_is_cut_off_by_the_depth(tree, monkeypatch):
    tree.commit(a="0", b="1")
    for number in range(1, 6):
        wanted = tree.commit(a=str(number))
    tree.commit(a="x")
    monkeypatch.setattr(lineage, "DEPTH", 2)
    assert lineage.newest_with(tree.path, tree.wanted(wanted, "a", "b")) == wanted


def test_a_thousand_tags_cost_no_more_programs_than_one(tree, monkeypatch):
    wanted = tree.commit(a="1")
    tree.commit(a="2")
    tree.commit(a="3")
    head = tree.git("rev-parse", "HEAD")
    (tree.path / ".git" / "packed-refs").write_text("".join(f"{head} refs/tags/v{at:04}\n" for at in range(1000)))
    asked = []
    real = process.run
    monkeypatch.setattr(process, "run", lambda argv, **more: asked.append(argv) or real(argv, **more))
    assert lineage.newest_with(tree.path, tree.wanted(wanted, "a")) == wanted
    assert len(asked) < 10
