"""Putting a new workspace in place: all of its files, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.errors import UserError
from harness.results import files


def write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files below a folder, which is made when it is not there. A file that is there is never touched.

    Raises UserError that names what is in the way, before anything is written; InfraError when the host cannot write.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    there = [name for name in contents if (folder / name).exists()]
    if there:
        raise UserError(
            f"{folder} has {', '.join(there[:3])}{' ...' if len(there) > 3 else ''} already: nothing was written",
            hint="take another folder, or move what is in the way",
        )
    for name, data in contents.items():
        path = folder / name
        with files.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, data)
