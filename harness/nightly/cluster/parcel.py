"""Folders as bytes that travel: the same folder has the same bytes, and what arrives is what was sent."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from harness.errors import InfraError

LEVEL = 1
"""Compression: disks are mostly holes, and the rest should not wait for the processor."""


def pack(root: Path, names: Iterable[str] = ("",), leave: Iterable[str] = ()) -> bytes:
    """The files below ``root`` (of the folders and files ``names``), without owners and times. ``leave`` are names of
    folders and files that stay behind wherever they are."""
    stay = set(leave)
    below = {path for name in names for path in _files(root / name)}
    found = sorted(path for path in below if stay.isdisjoint(path.relative_to(root).parts))
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=LEVEL, format=tarfile.GNU_FORMAT) as tar:
        for path in found:
            info = tarfile.TarInfo(path.relative_to(root).as_posix())
            info.size = path.stat().st_size
            info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as stream:
                tar.addfile(info, stream)
    data = bytearray(sink.getvalue())
    data[4:8] = bytes(4)  # gzip's own time stamp
    return bytes(data)


def _files(place: Path) -> Iterable[Path]:
    return [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]


def seal(data: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(data).hexdigest()


def unpack(data: bytes, folder: Path, sealed: str = "") -> None:
    """Write what was packed below ``folder``, files and folders alone, none of them outside.

    Raises InfraError when it is not what was sealed, or would leave the folder.
    """
    if sealed and seal(data) != sealed:
        raise InfraError(f"{folder.name} arrived damaged: its sha256 is not the announced one")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not member.isfile() or path.is_absolute() or ".." in path.parts:
                raise InfraError(f"a parcel holds {member.name!r}, which is no file below its folder")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None
            with source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            target.chmod(member.mode & 0o755)
