"""A disk as part of an initramfs, for guests that must not wait for their host: the agent puts it behind a loop device.

The kernel unpacks archives that follow each other, so the disk is an archive of its own behind the guest's. It holds
one file of extents (images/tiny/memory_disk.h reads it): offset and length as 64-bit little-endian numbers, then the
bytes. The first record has length 0, its offset is the size of the disk. Blocks of zeros are left out.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.cache import Cache, digest
from harness.guest.disks import extents
from harness.guest.initramfs import archive, file

DEVICE = "/dev/loop0"
NAME = "disk.extents"
BLOCK = 4096
ZEROS = bytes(BLOCK)
HEAD = struct.Struct("<QQ")


def attach(initramfs: Path, disk: Path, cache: Cache) -> Path:
    """``initramfs`` with ``disk`` (a raw image of the cache) in it, in the cache. In the guest it is ``DEVICE``."""

    def build(scratch: Path) -> None:
        with (scratch / "initramfs.cpio").open("wb") as target:
            target.write(initramfs.read_bytes())
            target.write(archive([file(NAME, b"".join(records(disk)), 0o600)]))

    key = digest("memory disk 1", str(initramfs), str(disk))
    return cache.make("initramfs", key, build) / "initramfs.cpio"


def records(disk: Path) -> Iterator[bytes]:
    """What ``NAME`` holds, in pieces."""
    size = disk.stat().st_size
    yield HEAD.pack(size, 0)
    with disk.open("rb") as stream:
        for start, end in extents(stream.fileno(), size):
            yield from _written(stream.fileno(), start, end)


def _written(fd: int, start: int, end: int) -> Iterator[bytes]:
    """The runs of blocks in one extent that are not all zeros, each behind its head."""
    run = bytearray()
    for at in range(start, end, BLOCK):
        data = os.pread(fd, min(BLOCK, end - at), at)
        if data == ZEROS[: len(data)]:
            yield from _record(at, run)
            run.clear()
        else:
            run += data
    yield from _record(end, run)


def _record(end: int, run: bytearray) -> Iterator[bytes]:
    if run:
        yield HEAD.pack(end - len(run), len(run))
        yield bytes(run)
