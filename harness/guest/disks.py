"""The disk under test: made once per declaration, copied sparsely per guest, checked after a case.

made = make(filesystem, cache)                 # Path of the pristine image, or None: this filesystem has no disk
disk = copy_sparse(made, folder / "disk.img")
... a guest uses it ...
verdict = check(filesystem, disk)              # Checked(clean, output)
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.cache import Cache, digest, digest_file
from harness.catalogue.model import Filesystem
from harness.errors import OverdueError
from harness.process import Sandbox, require, run

FICLONE = 0x40049409
"""ioctl(2): make the file share the other's blocks (linux/fs.h). Python has no name for it before 3.14."""
CHUNK = 4 * 1024 * 1024
MAKING = 60.0
CHECKING = 120.0
"""Seconds a mkfs and a checker may take on images of some hundred MiB."""

UUID = "1ab1ab1a-b1ab-4ab1-8ab1-ab1ab1ab1ab1"
SPARE_UUID = "5ba5e5ba-5e5b-4a5e-85ba-5e5ba5e5ba5e"
STEADY = {
    "E2FSPROGS_FAKE_TIME": "1767225600",
    "SOURCE_DATE_EPOCH": "1767225600",
}
"""What makes mkfs tools give the same bytes for the same line where they can: fixed times."""


@dataclass(frozen=True)
class Checked:
    """What a filesystem's checker says of an image. ``output`` is "" when there is no checker."""

    clean: bool
    output: str = ""


def _argv(line: str, disk: Path, uuid: str = UUID) -> list[str]:
    return [word.replace("{disk}", os.fspath(disk)).replace("{uuid}", uuid) for word in shlex.split(line)]


def _tool_version(program: str) -> str:
    """A tool is what its file holds: quicker and surer than the many ways to ask for a version."""
    return digest_file(Path(require(program)).resolve())


def make(filesystem: Filesystem, cache: Cache, uuid: str = UUID) -> Path | None:
    """The pristine image of a filesystem, in the cache; None when it needs no disk (size 0). ``uuid`` is {uuid}.

    Raises InfraError when the mkfs tool is missing (naming its package) or fails.
    """
    if not filesystem.size:
        return None
    program = shlex.split(filesystem.mkfs)[0] if filesystem.mkfs else ""
    tool = _tool_version(program) if program else ""
    key = digest("disk 1", filesystem.mkfs, str(filesystem.size), tool, *([] if uuid == UUID else [uuid]))

    def build(scratch: Path) -> None:
        disk = scratch / "disk.img"
        with disk.open("wb") as stream:
            stream.truncate(filesystem.size * 1024 * 1024)
        if filesystem.mkfs:
            box = Sandbox(writable=(scratch,))
            run(_argv(filesystem.mkfs, disk, uuid), sandbox=box, env=STEADY, timeout=MAKING)

    return cache.make("disks", key, build) / "disk.img"


def copy_sparse(source: Path, target: Path) -> Path:
    """``target``, a copy of ``source`` with its holes: it shares blocks where the host can, else only data moves."""
    with source.open("rb") as src, target.open("wb") as dst:
        try:
            fcntl.ioctl(dst.fileno(), FICLONE, src.fileno())
        except OSError as exc:
            if exc.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS):
                raise
            _copy_data(src.fileno(), dst.fileno())
    return target


def _copy_data(src: int, dst: int) -> None:
    size = os.fstat(src).st_size
    os.ftruncate(dst, size)
    for start, end in extents(src, size):
        os.lseek(dst, start, os.SEEK_SET)
        while start < end:
            start += os.sendfile(dst, src, start, min(CHUNK, end - start))


def extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a sparse file holds data, as (start, end)."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at


def check(filesystem: Filesystem, disk: Path) -> Checked:
    """What the filesystem's own checker says of an image that no guest uses any more.

    The checker reads what a hostile kernel wrote: it runs in the sandbox, with nothing but the image to write to, and
    one that comes to no end over it found no clean image.
    Raises InfraError when the tool is missing (naming its package) or cannot be run.
    """
    if not filesystem.check:
        return Checked(True)
    argv = _argv(filesystem.check, disk)
    try:
        done = run(argv, sandbox=Sandbox(writable=(disk,)), timeout=CHECKING, check=False)
    except OverdueError as exc:
        return Checked(False, exc.message)
    return Checked(done.ok, "" if done.ok else (done.stdout + done.stderr).strip())
