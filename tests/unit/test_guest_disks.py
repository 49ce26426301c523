"""Disks made, copied and checked with the host's real tools."""

import os
import shutil

import pytest

from harness.cache import Cache
from harness.catalogue.model import Filesystem
from harness.errors import InfraError
from harness.guest import disks

EXT4 = Filesystem(title="t", type="ext4", size=8, mkfs="mke2fs -q -F -t ext4 {disk}", check="e2fsck -fn {disk}")

needs_e2fsprogs = pytest.mark.skipif(not shutil.which("mke2fs", path="/sbin:/usr/sbin"), reason="no e2fsprogs")


@needs_e2fsprogs
def test_a_disk_is_made_once_and_is_clean(tmp_path):
    cache = Cache(tmp_path)
    disk = disks.make(EXT4, cache)
    assert disk.stat().st_size == 8 * 1024 * 1024
    assert disks.check(EXT4, disk) == disks.Checked(True)
    assert disks.make(EXT4, cache) == disk


@needs_e2fsprogs
def test_damage_is_found_and_the_checker_quoted(tmp_path):
    disk = disks.copy_sparse(disks.make(EXT4, Cache(tmp_path)), tmp_path / "copy")
    with disk.open("r+b") as stream:
        stream.seek(1024 + 12)  # s_free_blocks_count_lo: the superblock's checksum no longer holds
        stream.write(bytes(4))
    checked = disks.check(EXT4, disk)
    assert not checked.clean
    assert "Superblock checksum does not match" in checked.output


def test_a_missing_tool_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.process.find", lambda _program: None)
    with pytest.raises(InfraError) as caught:
        disks.make(EXT4, Cache(tmp_path))
    assert "e2fsprogs" in caught.value.hint


def test_no_size_no_disk(tmp_path):
    assert disks.make(Filesystem(title="t", type="tmpfs", size=0), Cache(tmp_path)) is None


def test_a_filesystem_without_a_checker_is_not_checked(tmp_path):
    assert disks.check(Filesystem(title="t", type="vfat"), tmp_path / "none").clean


@pytest.mark.parametrize("extents", [[], [(0, 5)], [(1 << 20, 3), (3 << 20, 70000)], [((4 << 20) - 1, 1)]])
def test_a_copy_has_the_same_bytes_and_the_holes(tmp_path, extents):
    source = tmp_path / "source"
    with source.open("wb") as stream:
        stream.truncate(4 << 20)
        for at, length in extents:
            stream.seek(at)
            stream.write(os.urandom(length))
    copy = disks.copy_sparse(source, tmp_path / "copy")
    assert copy.read_bytes() == source.read_bytes()
    assert copy.stat().st_blocks <= source.stat().st_blocks
