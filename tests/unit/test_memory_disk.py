"""A disk as extents in an archive: nothing but zeros may be lost."""

import os

from harness.cache import Cache
from harness.guest.memory_disk import HEAD, attach, records


def rebuilt(data):
    size, none = HEAD.unpack_from(data)
    assert none == 0
    disk, at = bytearray(size), HEAD.size
    while at < len(data):
        offset, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        assert length
        disk[offset : offset + length] = data[at : at + length]
        at += length
    return bytes(disk)


def test_what_is_left_out_is_zeros(tmp_path):
    disk = tmp_path / "disk.img"
    written = {0: b"x", 4095: b"ab", 12288: bytes(8192) + b"y" * 4096 + bytes(4096), 999_999: b"end"}
    with disk.open("wb") as stream:
        stream.truncate(1_000_003)
        for offset, data in written.items():
            stream.seek(offset)
            stream.write(data)
    found = b"".join(records(disk))
    assert rebuilt(found) == disk.read_bytes()
    assert len(found) < 40_000


def test_an_empty_disk_is_only_its_size(tmp_path):
    disk = tmp_path / "disk.img"
    disk.touch()
    os.truncate(disk, 1 << 30)
    assert b"".join(records(disk)) == HEAD.pack(1 << 30, 0)


def test_the_disk_follows_the_guest_and_is_kept(tmp_path):
    initramfs, disk = tmp_path / "init.cpio", tmp_path / "disk.img"
    initramfs.write_bytes(b"guest" * 100)
    disk.write_bytes(b"d" * 5000)
    made = attach(initramfs, disk, Cache(tmp_path / "cache"))
    assert made.read_bytes().startswith(initramfs.read_bytes())
    assert b"d" * 5000 in made.read_bytes()
    assert attach(initramfs, disk, Cache(tmp_path / "cache")) == made
