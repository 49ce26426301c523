"""Artefacts kept by the content of their inputs.

An entry is a folder ``<root>/<kind>/<key>``. It is made in a private folder beside it and renamed into place whole,
under a file lock, so that two labs at once make it once and a killed lab leaves nothing half made.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from harness.errors import InfraError

KEY_LENGTH = 16
PRESENT = "present"
"""The folder in which labs that are at work have a file each, which they hold a lock on."""
YOUNG = 60.0
"""Seconds for which such a file may be there before it is locked."""


def digest(*parts: str | bytes) -> str:
    """A key from the parts, each delimited by its length so that no two lists of parts look alike."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "big"))
        sha.update(data)
    return sha.hexdigest()[:KEY_LENGTH]


def digest_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp(path: Path) -> tuple[int, ...]:
    """What is another when a file was written again or replaced, without reading it. Raises OSError."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def digest_tree(folder: Path) -> str:
    """A key from every file below a folder: names, modes and contents."""
    parts: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mode = "x" if path.stat().st_mode & 0o100 else "-"
            parts.append(f"{path.relative_to(folder)} {mode} {digest_file(path)}")
    return digest(*parts)


@contextlib.contextmanager
def host_errors(what: str, elsewhere: str = "set LAB_CACHE to a folder that can be written") -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into an InfraError that names it.

    ``elsewhere`` is what to do about the latter.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room there; where that is the cache's disk, `lab cache prune` does"
            raise InfraError(f"the disk is full: {what}", hint=hint) from exc
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InfraError(f"cannot write {exc.filename or what}: {exc.strerror}", hint=elsewhere) from exc
        raise


@contextlib.contextmanager
def lock(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a file lock; ``waiting`` is called once if another lab holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a file lock if nobody else does; whether it is held."""
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


class Cache:
    """The folder of all artefacts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._present: IO[bytes] | None = None
        self._once = threading.Lock()

    def path(self, kind: str, key: str) -> Path:
        return self.root / kind / key

    def attend(self) -> None:
        """Say that a lab is at work here, for as long as this value lives: what it got since then must not be dropped.

        A lock is what says it, so a lab that was killed says it no more.
        """
        with self._once, contextlib.suppress(OSError):
            if self._present is None:
                folder = self.root / PRESENT
                folder.mkdir(parents=True, exist_ok=True)
                present = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115 it lives as long as this value
                fcntl.flock(present, fcntl.LOCK_SH)
                self._present = present

    def attended_since(self) -> float:
        """When the oldest lab that still works here began, in seconds since 1970; infinity when there is none."""
        began = float("inf")
        for path in (self.root / PRESENT).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                age = path.stat().st_mtime
                with try_lock(path) as forsaken:
                    if not forsaken:
                        began = min(began, age)
                    elif age < time.time() - YOUNG:
                        path.unlink()
        return began

    def get(self, kind: str, key: str) -> Path | None:
        """The entry's folder, its age renewed, or None when it was not made yet."""
        self.attend()
        entry = self.path(kind, key)
        if not entry.is_dir():
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)
        return entry

    def trim(self, kind: str, keep: int, unused: float, marked: str = "") -> int:
        """Drop the entries beyond the ``keep`` newest that nobody asked for in ``unused`` seconds; how many they were.

        For what is made again in moments and is made by the hundred. ``unused`` must be longer than anybody who got an
        entry goes on using it. With ``marked``, only entries that hold a file of this name, whose age is theirs.
        """
        oldest = time.time() - unused
        due = [entry for renewed, entry in self._aged(kind, marked)[keep:] if renewed < oldest]
        for entry in due:
            with lock(entry.parent / f".{entry.name}.lock"):
                shutil.rmtree(entry, ignore_errors=True)
        return len(due)

    def bound(self, kind: str, size: int, used: float) -> int:
        """Drop the entries longest not asked for until the rest has at most ``size`` bytes; how many they were.

        One that was asked for within ``used`` seconds stays. For what is large and made by the hundred.
        """
        oldest, held, dropped = time.time() - used, 0, 0
        for renewed, entry in self._aged(kind):
            with contextlib.suppress(FileNotFoundError):  # another lab drops it too
                held += sum(path.stat().st_blocks * 512 for path in entry.iterdir())
            if held > size and renewed < oldest:
                with lock(entry.parent / f".{entry.name}.lock"):
                    shutil.rmtree(entry, ignore_errors=True)
                dropped += 1
        return dropped

    def _aged(self, kind: str, marked: str = "") -> list[tuple[float, Path]]:
        """When each entry was last asked for, the youngest first; of those that another lab drops meanwhile, none."""
        aged = []
        for entry in self._entries(kind):
            with contextlib.suppress(FileNotFoundError):
                aged.append(((entry / marked).stat().st_mtime, entry))
        return sorted(aged, reverse=True)

    def _entries(self, kind: str) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError):
            yield from (path for path in (self.root / kind).iterdir() if path.name[0] != "." and path.is_dir())

    def make(
        self,
        kind: str,
        key: str,
        build: Callable[[Path], None],
        waiting: Callable[[], None] | None = None,
    ) -> Path:
        """The entry's folder, made by ``build(folder)`` unless it is there. What ``build`` raises leaves no entry."""
        found = self.get(kind, key)
        if found is not None:
            return found
        entry = self.path(kind, key)
        with (
            host_errors(f"making {kind} {key} in {self.root}"),
            lock(self.root / kind / f".{key}.lock", waiting),
        ):
            found = self.get(kind, key)
            if found is not None:
                return found
            for left in entry.parent.glob(f".{key}.*/"):  # by a lab that was killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=entry.parent))
            try:
                build(scratch)
                scratch.chmod(0o755)
                scratch.rename(entry)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
        return entry
