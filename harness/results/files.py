"""Writing so that nothing half-written ever counts, and so that the host's troubles are told as such."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.cache import host_errors
from harness.errors import InfraError

HOLE_STEP = 1 << 20
ELSEWHERE = "results are written into the workspace: run lab in one that can be written, or set LAB_WORKSPACE to it"


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn every OSError about ``path`` into an InfraError that names it."""
    try:
        with host_errors(f"writing {path}", elsewhere=ELSEWHERE):
            yield
    except OSError as exc:
        raise InfraError(f"cannot write {path}: {exc.strerror or exc}") from exc


def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """The whole file or nothing: a temporary beside it, renamed over it; ``durable`` also survives a power cut.

    Raises InfraError when the host cannot (a full disk, no permission).
    """
    scratch = path.with_name(f".{path.name}.tmp")
    with told(path):
        try:
            with scratch.open("wb") as stream:
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            scratch.replace(path)
            if durable:
                _sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                scratch.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def encode(text: str) -> bytes:
    """UTF-8, whatever the text holds."""
    return text.encode(errors="replace")


def read_text(path: Path) -> str:
    """A saved text as it was, line ends included; empty when there is none.

    Raises InfraError when it is there and cannot be read.
    """
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise InfraError(f"cannot read {path}: {exc.strerror}") from exc


def move_sparse(source: Path, target: Path) -> None:
    """Move a disk image; across filesystems its holes stay holes.

    Raises InfraError when the host cannot.
    """
    with told(target):
        try:
            source.rename(target)
        except OSError:
            _copy_sparse(source, target)
            source.unlink()


def _copy_sparse(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        size = old.seek(0, os.SEEK_END)
        position = 0
        while position < size:
            try:
                position = os.lseek(old.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(old.fileno(), position, os.SEEK_HOLE)
            position += os.copy_file_range(
                old.fileno(), new.fileno(), min(end - position, HOLE_STEP), position, position
            )
        new.truncate(size)
