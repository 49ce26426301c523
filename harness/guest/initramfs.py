"""An initramfs as bytes: a newc cpio archive written without root, the same bytes for the same contents.

It is not compressed: inflating under TCG costs the guest more than reading the larger file (docs/guests.md).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.cache import Cache, digest
from harness.guest.programs import Programs, compile_program
from harness.process import find, require, run

TRAILER = "TRAILER!!!"
FOLDERS = ("bin", "cases", "dev", "etc", "mnt", "proc", "root", "sys", "tmp")


@dataclass(frozen=True)
class Entry:
    """One name in the archive. ``mode`` holds type and permissions; ``device`` is (major, minor) of a node."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(name: str, mode: int = 0o755) -> Entry:
    return Entry(name, stat.S_IFDIR | mode)


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    return Entry(name, stat.S_IFREG | mode, data)


def link(name: str, target: str) -> Entry:
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def character_device(name: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    return Entry(name, stat.S_IFCHR | mode, device=(major, minor))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(head + name) + _padded(entry.data)


def archive(entries: Iterable[Entry]) -> bytes:
    """The newc archive of ``entries``, in their order (a folder before what is in it): no times, root owns all."""
    records = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join(records) + _record(0, Entry(TRAILER, 0))


def _parents(names: Iterable[str]) -> list[str]:
    found = {str(parent) for name in names for parent in Path(name).parents if str(parent) != "."}
    return sorted(found)


def contents(
    agent: bytes, programs: dict[str, bytes], *, busybox: bytes = b"", applets: Iterable[str] = ()
) -> list[Entry]:
    """The tiny guest: the agent as /init, ``programs`` by their path in the guest without the leading slash."""
    entries = [folder(name) for name in sorted({*FOLDERS, *_parents(programs)})]
    # The kernel opens /dev/console for process 1 before anything is mounted.
    entries.append(character_device("dev/console", 5, 1))
    entries.append(file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
    entries.append(file("etc/group", b"root:x:0:\nnogroup:x:65534:\n"))
    entries.append(file("init", agent, 0o755))
    if busybox:
        entries.append(file("bin/busybox", busybox, 0o755))
        taken = {"bin/busybox", *programs}
        entries += [link(f"bin/{name}", "busybox") for name in sorted(applets) if f"bin/{name}" not in taken]
    return entries + [file(name, data, 0o755) for name, data in sorted(programs.items())]


def busybox_applets(busybox: Path) -> list[str]:
    """The names busybox answers to."""
    return run([str(busybox), "--list"]).stdout.split()


def find_busybox() -> Path:
    """The host's static busybox.

    Raises InfraError when there is none.
    """
    return Path(find("busybox") or require("busybox"))


def build(agent: Path, programs: Programs, cache: Cache, *, headers: Path, busybox: bool = True) -> Path:
    """The initramfs of ``programs`` with the agent compiled from ``agent``, in the cache.

    Raises BuildError when the agent does not compile, InfraError when busybox or the compiler is missing.
    """
    init = compile_program(agent, cache, headers=headers)
    shell = find_busybox() if busybox else None
    parts = [f"{name} {path}" for name, path in sorted(programs.items())]
    key = digest("initramfs 1", str(init), *parts, shell.read_bytes() if shell else b"")

    def make(scratch: Path) -> None:
        data = {name: path.read_bytes() for name, path in programs.items()}
        entries = contents(
            init.read_bytes(), data,
            busybox=shell.read_bytes() if shell else b"", applets=busybox_applets(shell) if shell else (),
        )  # fmt: skip
        (scratch / "initramfs.cpio").write_bytes(archive(entries))

    return cache.make("initramfs", key, make) / "initramfs.cpio"
