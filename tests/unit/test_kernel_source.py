"""Bases: fetched from each kind of place, exactly what was declared, once."""

import gzip
import io
import os
import subprocess
import tarfile

import pytest

from harness.cache import Cache, digest_file
from harness.catalogue.model import Base
from harness.errors import InfraError, LabError, UserError
from harness.kernel import git, origin, pack
from harness.kernel.source import fetch

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 99\nSUBLEVEL = 2\nEXTRAVERSION = -rc1\n"


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "linux-6.99"
    (folder / "fs" / "deep").mkdir(parents=True)
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "fs" / "deep" / "large.c").write_bytes(os.urandom(70000))
    (folder / "fs" / "empty.c").write_text("")
    (folder / "fs.c").write_text("sorts between fs and fs/\n")
    (folder / "fs-a").write_text("and so does this\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("fs/deep/large.c")
    (folder / "same").hardlink_to(folder / "fs.c")
    return folder


@pytest.fixture
def tarball(tree, tmp_path):
    path = tmp_path / "linux.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(tree, tree.name)
    return path


@pytest.fixture
def cache(tmp_path):
    made = Cache(tmp_path / "cache")
    made.root.mkdir()
    return made


def tree_id(folder):
    """What git itself says of a folder."""
    env = {**os.environ, "GIT_DIR": str(folder.parent / "judge"), "GIT_WORK_TREE": str(folder)}
    for argv in (["init", "-q"], ["add", "-A", "-f"]):
        subprocess.run(["git", *argv], env=env, cwd=folder, check=True)
    return subprocess.run(
        ["git", "write-tree"], env=env, cwd=folder, check=True, capture_output=True, text=True
    ).stdout[:-1]


def test_a_tarball_becomes_the_tree_that_git_would_make_of_it(tree, tarball, cache):
    source = fetch("toy", Base(title="t", tarball=str(tarball)), cache)
    assert source.version == "6.99.2-rc1"
    assert source.record.sha256 == digest_file(tarball)
    assert source.record.tree == tree_id(tree)
    repo = git.Repo(source.repo)
    assert repo.run("fsck", "--full", "--strict").ok
    assert repo.resolve("refs/heads/base^{tree}") == source.record.tree


def test_the_pack_holds_up_with_many_objects_and_far_offsets(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "LARGE_OFFSET", 1 << 14)
    monkeypatch.setattr(pack.struct, "pack", far_aware(pack.struct.pack))
    repo = git.init(tmp_path / "repo")
    with pack.PackWriter(repo.path / "objects" / "pack") as writer:
        made = pack.TreeWriter(writer)
        for number in range(700):
            made.add(b"d%d/f%d" % (number % 7, number), pack.FILE, writer.add(pack.BLOB, b"%d" % number * number))
        top = made.write()
    assert repo.run("ls-tree", "-r", top).stdout.count("\n") == 700


def far_aware(real):
    """Offsets beyond the (lowered) limit must carry git's own mark of a far offset."""

    def packed(form, *values):
        if form == ">I" and values[0] & pack.LARGE_OFFSET and values[0] < 1 << 20:
            values = (values[0] & ~pack.LARGE_OFFSET | 1 << 31,)
        return real(form, *values)

    return packed


def test_fetched_once_it_needs_its_origin_no_more(tarball, cache, monkeypatch):
    base = Base(title="t", tarball=str(tarball))
    first = fetch("toy", base, cache)
    monkeypatch.setattr(origin, "get", None)
    assert fetch("toy", base, cache) == first
    with pytest.raises(TypeError):
        fetch("toy", base, cache, refresh=True)


def test_a_tarball_that_changed_is_another_source(tree, tarball, cache):
    base = Base(title="t", tarball=str(tarball))
    first = fetch("toy", base, cache)
    (tree / "fs.c").write_text("new\n")
    with tarfile.open(tarball, "w") as tar:
        tar.add(tree, tree.name)
    assert fetch("toy", base, cache).record.tree != first.record.tree


def test_a_git_tree_is_taken_by_commit_and_not_touched(tree, cache):
    def run(*argv):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *argv], cwd=tree, check=True)

    run("init", "-q")
    run("add", "-A")
    run("commit", "-q", "-m", "one")
    (tree / "fs.c").write_text("not committed\n")
    before = sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*"))
    source = fetch("toy", Base(title="t", git=tree.name), cache, root=tree.parent)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*")) == before
    repo = git.Repo(source.repo)
    assert repo.run("cat-file", "blob", "refs/heads/base:fs.c").stdout == "sorts between fs and fs/\n"
    assert repo.run("fsck", "--full", "--strict").ok
    run("commit", "-q", "-a", "-m", "two")
    assert fetch("toy", Base(title="t", git=str(tree)), cache).record.tree != source.record.tree
    with pytest.raises(UserError, match="cannot take 'v9'"):
        fetch("toy", Base(title="t", git=str(tree), ref="v9"), cache)


def test_a_url_is_checked_before_it_is_used(tarball, cache):
    url = tarball.as_uri()
    with pytest.raises(UserError, match="is not what was declared: its sha256 is"):
        fetch("toy", Base(title="t", url=url, sha256="0" * 64), cache)
    assert not (cache.root / "sources").exists()
    assert fetch("toy", Base(title="t", url=url, sha256=digest_file(tarball).upper()), cache).version == "6.99.2-rc1"
    with pytest.raises(InfraError, match="cannot download"):
        fetch("toy", Base(title="t", url="http://127.0.0.1:1/linux.tar", sha256="0" * 64), cache)


@pytest.mark.parametrize("name", ["linux/../../planted", "linux/.git/hooks/x", "linux/a/.GIT/config"])
def test_a_tarball_that_leads_out_is_refused(tmp_path, cache, name):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"bad"))
    with pytest.raises(UserError, match="a kernel source has none there"):
        fetch("toy", Base(title="t", tarball=str(path)), cache)


@pytest.mark.parametrize("kind", ["cut", "text", "cut-xz", "no-kernel", "missing"])
def test_what_is_no_kernel_tarball_is_told_so_and_leaves_nothing(tmp_path, tarball, cache, kind):
    path = tmp_path / "bad.tar"
    if kind == "cut":
        path.write_bytes(tarball.read_bytes()[:40000])
    elif kind == "text":
        path.write_text("this is no tarball at all\n" * 100)
    elif kind == "cut-xz":
        whole = subprocess.run(["xz", "-c", str(tarball)], capture_output=True, check=True).stdout
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "no-kernel":
        with tarfile.open(path, "w") as tar:
            tar.add(tmp_path / "linux-6.99" / "fs", "fs")
    with pytest.raises(UserError) as caught:
        fetch("toy", Base(title="t", tarball=str(path)), cache)
    assert str(path) in caught.value.message
    assert not [entry for entry in cache.root.glob("*/*") if entry.is_dir()]
    assert not list(cache.root.glob(".fetch.*"))


@pytest.mark.parametrize("form", ["xz", "gz"])
def test_compressed_tarballs(tmp_path, tarball, cache, form):
    path = tmp_path / f"linux.tar.{form}"
    if form == "xz":
        path.write_bytes(subprocess.run(["xz", "-c", str(tarball)], capture_output=True, check=True).stdout)
    else:
        path.write_bytes(gzip.compress(tarball.read_bytes()))
    plain = fetch("toy", Base(title="t", tarball=str(tarball)), cache)
    assert fetch("toy", Base(title="t", tarball=str(path)), cache).record.tree == plain.record.tree


def test_a_package_that_nobody_has_says_what_was_tried(cache):
    with pytest.raises(LabError) as caught:
        fetch("toy", Base(title="t", package="linux-source-0.99-of-nobody"), cache)
    assert "cannot get the Debian package linux-source-0.99-of-nobody: not installed" in caught.value.message
