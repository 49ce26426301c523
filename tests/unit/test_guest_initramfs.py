"""The archive as the kernel reads it: unpacked by an independent reader, the same bytes every time."""

import io
import stat
import subprocess

from harness.cache import Cache
from harness.guest.borrowed import borrow
from harness.guest.initramfs import archive, character_device, contents, file, folder, link


def read_newc(data):
    """(name, mode, content, device) of each record of a newc archive, by the format's own description."""
    stream = io.BytesIO(data)
    found = []
    while True:
        head = stream.read(110)
        assert head[:6] == b"070701"
        numbers = [int(head[6 + 8 * at : 14 + 8 * at], 16) for at in range(13)]
        mode, size, major, minor, length = numbers[1], numbers[6], numbers[9], numbers[10], numbers[11]
        name = stream.read(length)[:-1].decode()
        stream.seek(-stream.tell() % 4, io.SEEK_CUR)
        content = stream.read(size)
        stream.seek(-stream.tell() % 4, io.SEEK_CUR)
        if name == "TRAILER!!!":
            return found
        found.append((name, mode, content, (major, minor)))


def test_what_goes_in_comes_out():
    entries = [folder("dev"), character_device("dev/console", 5, 1), file("a", b"odd"), link("b", "a")]
    assert read_newc(archive(entries)) == [
        ("dev", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)),
        ("a", stat.S_IFREG | 0o644, b"odd", (0, 0)),
        ("b", stat.S_IFLNK | 0o777, b"a", (0, 0)),
    ]


def test_cpio_reads_it():
    data = archive(contents(b"agent", {"cases/suite/program": b"x" * 5}))
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=data, capture_output=True, check=True).stdout.decode()
    assert {"init", "cases/suite", "cases/suite/program", "dev/console", "mnt"} <= set(listed.split())


def test_same_contents_same_bytes():
    programs = {"cases/b": b"b", "cases/a": b"a"}
    assert archive(contents(b"i", programs)) == archive(contents(b"i", dict(sorted(programs.items()))))


def test_folders_come_before_what_is_in_them():
    seen = set()
    for name, mode, _, _ in read_newc(archive(contents(b"i", {"cases/one/two/three": b""}))):
        parent = name.rpartition("/")[0]
        assert not parent or parent in seen
        if stat.S_ISDIR(mode):
            seen.add(name)


def test_a_tool_wins_over_an_applet_of_its_name():
    entries = contents(b"i", {"bin/restart": b"tool"}, busybox=b"bb", applets=["restart", "ls", "busybox"])
    kinds = {entry.name: stat.S_IFMT(entry.mode) for entry in entries}
    assert len(kinds) == len(entries)
    assert (kinds["bin/restart"], kinds["bin/busybox"], kinds["bin/ls"]) == (stat.S_IFREG, stat.S_IFREG, stat.S_IFLNK)


def test_a_borrowed_program_runs_with_the_libraries_that_come_with_it(tmp_path):
    found = borrow(["perl"], Cache(tmp_path))
    loader = next(path for name, path in found.items() if name.rpartition("/")[2].startswith("ld-linux"))
    folders = ":".join({str(path.parent) for name, path in found.items() if name != "bin/perl"})
    loader.chmod(0o755)
    argv = [loader, "--inhibit-cache", "--library-path", folders, found["bin/perl"], "-e", "print 6*7"]
    assert subprocess.run(argv, capture_output=True, check=True, text=True).stdout == "42"
