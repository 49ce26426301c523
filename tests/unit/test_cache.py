"""The cache: made once, whole or not at all, by however many labs at once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cache import Cache, digest, digest_tree
from harness.errors import InfraError


def test_made_once(tmp_path):
    cache = Cache(tmp_path)
    made = []

    def build(folder):
        made.append(folder)
        (folder / "artefact").write_text("content")

    first = cache.make("kernels", "k", build)
    second = cache.make("kernels", "k", build)
    assert first == second
    assert len(made) == 1
    assert (first / "artefact").read_text() == "content"


def test_a_build_that_fails_leaves_nothing(tmp_path):
    cache = Cache(tmp_path)

    def build(folder):
        (folder / "half").write_text("")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        cache.make("kernels", "k", build)
    assert cache.get("kernels", "k") is None
    assert [path.name for path in (tmp_path / "kernels").iterdir()] == [".k.lock"]


def test_what_a_killed_lab_left_is_cleared(tmp_path):
    left = tmp_path / "kernels" / ".k.left"
    left.mkdir(parents=True)
    (left / "half").write_text("")
    Cache(tmp_path).make("kernels", "k", lambda folder: None)
    assert not left.exists()


def test_two_labs_make_it_once(tmp_path):
    program = (
        "import sys, time, pathlib\n"
        "from harness.cache import Cache\n"
        "def build(folder):\n"
        "    time.sleep(0.3)\n"
        "    open(pathlib.Path(sys.argv[1]) / 'made', 'a').write('x')\n"
        "Cache(pathlib.Path(sys.argv[1])).make('kernels', 'k', build)\n"
    )
    tree = Path(__file__).parents[2]
    labs = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=tree) for _ in range(3)]
    assert [lab.wait(20) for lab in labs] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "x"


def test_a_full_disk_is_said(tmp_path):
    def build(_folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(InfraError, match="disk is full") as raised:
        Cache(tmp_path).make("kernels", "k", build)
    assert "lab cache prune" in raised.value.hint


def test_parts_are_delimited():
    assert digest("ab", "c") != digest("a", "bc")


def test_a_tree_is_names_modes_and_contents(tmp_path):
    (tmp_path / "a").write_text("one")
    before = digest_tree(tmp_path)
    (tmp_path / "a").chmod(0o755)
    after_mode = digest_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({before, after_mode, digest_tree(tmp_path)}) == 3


def test_trimming_drops_what_is_old_and_beyond_the_newest(tmp_path):
    cache = Cache(tmp_path)
    for age, name in enumerate("abcd"):
        entry = cache.make("snapshots", name, lambda folder: (folder / "memory").write_bytes(b""))
        os.utime(entry, (time.time() - 1000 * age,) * 2)
    assert cache.trim("snapshots", keep=1, unused=1500) == 2
    assert sorted(path.name for path in (tmp_path / "snapshots").glob("?")) == ["a", "b"]
    assert cache.trim("snapshots", keep=1, unused=1500) == 0


def test_what_is_held_in_all_is_bounded_but_what_is_used_stays(tmp_path):
    cache = Cache(tmp_path)
    for age, name in enumerate("abcd"):
        entry = cache.make("snapshots", name, lambda folder: (folder / "memory").write_bytes(bytes(1 << 20)))
        os.utime(entry, (time.time() - 1000 * age,) * 2)
    assert cache.bound("snapshots", size=5 << 20, used=500) == 0
    assert cache.bound("snapshots", size=1 << 20, used=1500) == 2  # b is too much as well, and in use
    assert sorted(path.name for path in (tmp_path / "snapshots").glob("?")) == ["a", "b"]


def test_trimming_what_is_marked_leaves_the_rest_alone(tmp_path):
    cache = Cache(tmp_path)
    for name, marked in (("shared", False), ("old", True), ("new", True)):
        (tmp_path / "trees" / name).mkdir(parents=True)
        if marked:
            (tmp_path / "trees" / name / "mark").touch()
        os.utime(tmp_path / "trees" / name, (0, 0))
    os.utime(tmp_path / "trees" / "old" / "mark", (0, 0))
    assert cache.trim("trees", keep=0, unused=1500, marked="mark") == 1
    assert sorted(path.name for path in (tmp_path / "trees").iterdir() if path.is_dir()) == ["new", "shared"]


def test_trimming_what_was_never_made_is_nothing(tmp_path):
    assert Cache(tmp_path).trim("snapshots", keep=1, unused=0) == 0
