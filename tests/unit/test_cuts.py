"""Which cuts a recording has, and what QEMU's log says of it."""

import struct

import pytest

from harness.errors import InfraError
from harness.machine.writes import MAGIC, Entry, Flags, Log
from harness.runner.cuts import Mark, plan

SECTOR = 512
WRITE, FLUSH, DISCARD = Flags(0), Flags.FLUSH, Flags.DISCARD


def head(*numbers, form="<QQQQ"):
    return struct.pack(form, *numbers).ljust(SECTOR, b"\0")


def log_of(path, *entries, count=0, rest=0):
    """A log as QEMU leaves it: the number in its super block is behind."""
    data = head(MAGIC, 1, count, SECTOR, form="<QQQI")
    for sector, flags, payload in entries:
        data += head(sector, len(payload) // SECTOR, flags, 0) + (b"" if flags & DISCARD else payload)
    path.write_bytes(data + bytes(rest))
    return Log(path)


def test_a_log_is_read_to_its_last_entry_whatever_its_super_block_counts(tmp_path):
    log = log_of(tmp_path / "log", (8, 0, b"a" * 1024), (0, FLUSH, b""), (2, 0, b"b" * 512), rest=2048)
    entries = log.entries()
    assert [(entry.start, entry.length, entry.flags) for entry in entries] == [
        (4096, 1024, WRITE), (0, 0, FLUSH), (1024, 512, WRITE),
    ]  # fmt: skip
    assert log.count() == 3


def test_a_disk_is_made_what_it_was_after_any_of_them(tmp_path):
    log = log_of(tmp_path / "log", (0, 0, b"a" * 512), (1, 0, b"b" * 512), (0, DISCARD, bytes(512)))
    disk = tmp_path / "disk"
    disk.write_bytes(b"." * 1536)
    log.apply(log.entries()[:2], disk)
    assert disk.read_bytes() == b"a" * 512 + b"b" * 512 + b"." * 512
    log.apply(log.entries()[2:], disk)
    assert disk.read_bytes() == bytes(512) + b"b" * 512 + b"." * 512


def test_an_empty_log_has_no_entries_and_another_file_is_no_log(tmp_path):
    (tmp_path / "log").touch()
    assert Log(tmp_path / "log").entries() == []
    (tmp_path / "log").write_bytes(b"x" * 4096)
    with pytest.raises(InfraError, match="no log of writes"):
        Log(tmp_path / "log").entries()


def entries(text):
    """w: a write, f: a flush."""
    return [Entry(0, 512 if letter == "w" else 0, FLUSH if letter == "f" else WRITE, 0) for letter in text]


def cuts(text, *marks):
    return [(cut.durable, cut.more, cut.mark) for cut in plan(entries(text), [Mark(*mark) for mark in marks])]


def test_every_prefix_is_a_cut_and_flushes_alone_are_none():
    found = cuts("wwfwf", ("begin", 0), ("end", 5))
    assert [place for place, more, _ in found if not more] == [0, 1, 2, 4, 5]


def test_every_write_may_be_the_only_one_of_its_epoch_that_survives():
    found = cuts("wwwfww", ("begin", 0), ("end", 6))
    assert [(place, more) for place, more, _ in found if more] == [(0, (1,)), (0, (2,)), (3, (5,))]


def test_only_the_window_is_cut():
    found = cuts("wwwwww", ("begin", 2), ("end", 4))
    assert [place for place, more, _ in found if not more] == [2, 3, 4]
    assert all(place >= 2 and all(2 <= index < 4 for index in more) for place, more, _ in found)


def test_a_cut_knows_the_last_mark_that_was_passed():
    found = cuts("wfwf", ("begin", 0), ("synced", 2), ("end", 4))
    assert [mark for _, more, mark in found if not more] == ["begin", "begin", "synced", "end"]


def test_numbers_are_given_in_order():
    marks = [Mark("begin", 0), Mark("end", 6)]
    assert [cut.number for cut in plan(entries("wwfwww"), marks)] == list(range(9))


def test_a_window_without_writes_has_one_cut():
    assert cuts("ww", ("begin", 2), ("end", 2)) == [(2, (), "end")]
