"""The search finds what turned, whatever cannot be tried; the line it walks is the one that git has."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.model import Base
from harness.errors import UserError
from harness.kernel.line import between, export
from harness.verdict.search import search


@settings(deadline=None)
@given(st.integers(1, 60), st.data())
def test_the_first_bad_one_is_found_in_few_tries(count, data):
    turned = data.draw(st.integers(1, count))
    tried = []

    def ask(position):
        tried.append(position)
        return position < turned

    assert search(count, ask) == (turned - 1, turned)
    assert len(set(tried)) <= 2 + count.bit_length()


@settings(deadline=None)
@given(st.integers(1, 40), st.data())
def test_what_cannot_be_tried_lies_between_the_two(count, data):
    turned = data.draw(st.integers(1, count))
    skipped = data.draw(st.sets(st.integers(1, count - 1))) if count > 1 else set()
    old, new = search(count, lambda position: None if position in skipped else position < turned)
    assert old < turned <= new
    assert set(range(old + 1, new)) <= skipped
    assert not {old, new} & skipped


@pytest.mark.parametrize(("answer", "wanted"), [(True, True), (False, False), (None, None)])
def test_ends_of_one_kind(answer, wanted):
    assert search(5, lambda _: answer) is wanted


@pytest.fixture
def tree(tmp_path):
    def git(*argv):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *who, *argv], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    commits = []
    for number in range(4):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / "file").write_text(f"{number}\n")
        git("add", ".")
        git("commit", "-qm", f"change {number}")
        commits.append(git("rev-parse", "HEAD"))
    git("checkout", "-qb", "side", commits[1])
    (tmp_path / "other").write_text("")
    git("add", ".")
    git("commit", "-qm", "on the side")
    side = git("rev-parse", "HEAD")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merge the side", "side")
    return tmp_path, commits, side, git("rev-parse", "HEAD")


def test_a_merge_counts_as_one(tree):
    root, commits, _, head = tree
    found = between(Base(title="t", git="."), root, commits[1], head)
    assert [each.subject for each in found] == ["change 2", "change 3", "merge the side"]
    assert [each.hash for each in found] == [*commits[2:], head]


def test_what_is_not_on_the_line_is_refused(tree):
    root, commits, side, head = tree
    for good, bad in ((side, head), (head, commits[0]), (head, head)):
        with pytest.raises(UserError, match="is not on the line"):
            between(Base(title="t", git="."), root, good, bad)


def test_a_folder_of_an_older_commit(tree, tmp_path):
    root, commits, _, _ = tree
    export(root / "deep", commits[2], tmp_path / "made")
    assert (tmp_path / "made" / "file").read_text() == "2\n"
    with pytest.raises(UserError):
        export(root, "0" * 40, tmp_path / "nothing")
