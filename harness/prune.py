"""Which entries of the cache may go, and dropping them: never what is being made or what a lab at work may be using."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cache import PRESENT, Cache, try_lock
from harness.catalogue.words import did_you_mean
from harness.errors import UserError

DAY = 86_400.0
SPARED = 3600.0
"""Seconds since its last use within which no entry goes, whatever age was asked for."""
KEPT = ("ccache", PRESENT, "venv")
"""Folders that hold no entries: ccache bounds its own, and the lab runs from the last."""


@dataclass(frozen=True)
class Entry:
    """An artefact of the cache. ``used``: seconds since 1970; ``size``: bytes on the disk."""

    kind: str
    path: Path
    used: float
    size: int


def size_of(folder: Path) -> int:
    """Bytes that a folder's files take on the disk. What vanishes meanwhile takes none."""
    found = 0
    for top, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found += Path(top, name).lstat().st_blocks * 512
    return found


def folders(kind: Path) -> list[Path]:
    """The entries of a kind, by name."""
    return sorted(path for path in kind.iterdir() if path.is_dir() and not path.name.startswith("."))


def due(cache: Cache, days: float, kinds: Sequence[str] = ()) -> list[Entry]:
    """What was not used for ``days`` and may go: neither used in the last hour nor since a lab at work began.

    Raises UserError for a kind that the cache does not have.
    """
    there = {path.name: path for path in cache.root.glob("*") if path.is_dir() and path.name not in KEPT}
    for kind in kinds:
        if kind not in there:
            raise UserError(f"the cache has no kind {kind!r}", hint=did_you_mean(kind, there))
    oldest = min(time.time() - max(days * DAY, SPARED), cache.attended_since())
    return [entry for kind in sorted(kinds or there) for entry in _unused(there[kind], oldest)]


def _unused(kind: Path, oldest: float) -> Iterator[Entry]:
    for path in folders(kind):
        with contextlib.suppress(FileNotFoundError):
            used = path.stat().st_mtime
            if used < oldest:
                yield Entry(kind.name, path, used, size_of(path))


def drop(entries: Iterable[Entry]) -> list[Entry]:
    """Drop entries, and return those that went. One that is in work, or was used since, stays."""
    return [entry for entry in entries if _drop(entry)]


def _drop(entry: Entry) -> bool:
    with try_lock(entry.path.parent / f".{entry.path.name}.lock") as free:
        if not free or not entry.path.is_dir() or entry.path.stat().st_mtime > entry.used:
            return False
        shutil.rmtree(entry.path)
        return True
