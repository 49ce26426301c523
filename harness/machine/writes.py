"""What a guest wrote to a disk, write by write: the log that QEMU's blklogwrites keeps, and the disk as it was at any
place of it.

    log = Log(path)                         # a file that Disk.writes named
    mark = log.count()                      # while the guest stands still: how many entries there are now
    entries = log.entries()
    log.apply(entries[:n], disk)            # a copy of the disk as it was before, made what it was after n of them

The format is that of dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst): a super block, then for
each entry a head and the data, each filled up to a sector. QEMU brings the number in the super block up to date only
now and then, so that the end is where the first empty head is.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

from harness.errors import InfraError

MAGIC = 0x6A736677736872
SUPER = struct.Struct("<QQQI")
HEAD = struct.Struct("<QQQQ")


class Flags(IntFlag):
    """What an entry is besides a write."""

    FLUSH = 1  # all that came before it is on the platters
    FUA = 2  # so is this one when it is complete
    DISCARD = 4  # no data: the sectors hold nothing any more
    MARK = 8


@dataclass(frozen=True)
class Entry:
    """One write, flush or discard. ``start`` and ``length`` are bytes of the disk; ``data`` is where the log has it."""

    start: int
    length: int
    flags: Flags
    data: int

    @property
    def is_flush(self) -> bool:
        """Whether it makes what came before it last: a flush, or a write that has one before it."""
        return Flags.FLUSH in self.flags


class Log:
    """A log of writes, also one that still grows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        """All entries there are now, in the order in which the disk got them.

        Raises InfraError for what is no such log.
        """
        size = self.path.stat().st_size
        if not size:
            return []
        with self.path.open("rb") as stream:
            sector = self._sector(stream.read(SUPER.size))
            found: list[Entry] = []
            at = sector
            while at + HEAD.size <= size:
                entry = self._entry(os.pread(stream.fileno(), HEAD.size, at), at, sector)
                if entry is None:
                    break
                found.append(entry)
                at = entry.data + (0 if Flags.DISCARD in entry.flags else entry.length)
        return found

    def _sector(self, head: bytes) -> int:
        magic, _, _, sector = SUPER.unpack(head) if len(head) == SUPER.size else (0, 0, 0, 0)
        if magic != MAGIC or not sector:
            raise InfraError(f"{self.path} is no log of writes")
        return int(sector)

    def _entry(self, head: bytes, at: int, sector: int) -> Entry | None:
        first, count, flags, _ = HEAD.unpack(head)
        if not (count or flags):
            return None
        return Entry(first * sector, count * sector, Flags(flags), at + sector)

    def count(self) -> int:
        return len(self.entries())

    def apply(self, entries: Iterable[Entry], disk: Path) -> None:
        """Write these entries to ``disk``, in this order."""
        with self.path.open("rb") as log, disk.open("r+b") as target:
            for entry in entries:
                if entry.length and Flags.DISCARD in entry.flags:
                    _zero(target.fileno(), entry)
                elif entry.length:
                    os.pwrite(target.fileno(), os.pread(log.fileno(), entry.length, entry.data), entry.start)


def _zero(disk: int, entry: Entry) -> None:
    """What is discarded reads as zeros from a file that QEMU punched a hole into."""
    os.pwrite(disk, bytes(entry.length), entry.start)
