"""Disks made, copied and checked with the host's real tools."""

import os
import shutil
from pathlib import Path

import pytest

from harness import process
from harness.cache import Cache
from harness.catalogue.load import load
from harness.catalogue.model import Filesystem
from harness.errors import InfraError
from harness.guest import disks
from harness.paths import Workspace

TREE = Path(__file__).resolve().parents[2]

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


DECLARED = load(Workspace(TREE)).filesystems
WITH_DISK = sorted(name for name, filesystem in DECLARED.items() if filesystem.size)


def lacks(filesystem):
    """The tools of a filesystem that this machine lacks."""
    return [line.split()[0] for line in (filesystem.mkfs, filesystem.check) if not process.find(line.split()[0])]


@pytest.mark.parametrize("name", WITH_DISK)
def test_every_declared_disk_is_made_and_clean_for_its_checker(name, tmp_path):
    filesystem = DECLARED[name]
    if lacks(filesystem):
        pytest.skip(f"not installed: {lacks(filesystem)}")
    disk = disks.make(filesystem, Cache(tmp_path))
    before = disk.read_bytes()
    assert disks.check(filesystem, disk) == disks.Checked(True)
    assert disk.read_bytes() == before, "a checker looks, it does not repair"


def flip(disk, at):
    with disk.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 0xFF]))


def links_of_f2fs_root(image):
    """The link count of inode 3, whose node block ends with its number, twice."""
    footer = (3).to_bytes(4, "little") * 2
    return next(at + 12 for at in range(0, len(image), 4096) if image[at + 4072 : at + 4080] == footer)


def leaves_of_btrfs(image):
    """A byte within the items of every tree block: its header has the filesystem's number."""
    number = bytes.fromhex(disks.UUID.replace("-", ""))
    return [at + 200 for at in range(1 << 20, len(image), 4096) if image[at + 32 : at + 48] == number]


def links_of_ext2_root(image):
    """The link count of inode 2; the first group's descriptor says where its table is."""
    table = int.from_bytes(image[4096 + 8 : 4096 + 12], "little")
    return table * 4096 + 256 + 26


DAMAGE = {
    "xfs": lambda image: [512 + 20],  # the first allocation group's count of its blocks
    "btrfs": leaves_of_btrfs,
    "f2fs": lambda image: [links_of_f2fs_root(image)],
    "vfat": lambda image: [4 * 512 + 8],  # one of the two tables
    "ext2": lambda image: [links_of_ext2_root(image)],
    "ext3": lambda image: [links_of_ext2_root(image)],
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_every_checker_finds_damage_and_says_so_by_its_exit_status(name, tmp_path):
    filesystem = DECLARED[name]
    if lacks(filesystem):
        pytest.skip(f"not installed: {lacks(filesystem)}")
    disk = disks.copy_sparse(disks.make(filesystem, Cache(tmp_path)), tmp_path / "copy")
    for at in DAMAGE[name](disk.read_bytes()):
        flip(disk, at)
    checked = disks.check(filesystem, disk)
    assert not checked.clean
    assert checked.output


def test_every_tool_of_a_declared_filesystem_has_its_package():
    """So that the error for a missing one says what to install, and ./lab installs it."""
    listed = (TREE / "harness" / "packages.txt").read_text()
    for filesystem in DECLARED.values():
        for line in filter(None, (filesystem.mkfs, filesystem.check)):
            package = process.PACKAGE_OF[line.split()[0]]
            assert f" {package} " in listed, line


def test_a_missing_tool_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.process.find", lambda _program: None)
    with pytest.raises(InfraError) as caught:
        disks.make(EXT4, Cache(tmp_path))
    assert "e2fsprogs" in caught.value.hint


def test_a_checker_that_comes_to_no_end_is_the_images_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "CHECKING", 0.3)
    image = tmp_path / "disk.img"
    image.write_bytes(b"")
    checked = disks.check(Filesystem(title="f", type="f", check="sleep 60"), image)
    assert not checked.clean
    assert checked.output == "sleep did not finish within 0.3 s"


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
