"""Where things are: the workspace (what is asked for) and the cache (what was made)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError


@dataclass(frozen=True)
class Workspace:
    """A folder with kernel-patches/, images/, testcases/ and results/: the lab's own tree is one."""

    root: Path

    @property
    def bases(self) -> Path:
        return self.root / "kernel-patches" / "bases"

    @property
    def fragments(self) -> Path:
        return self.root / "kernel-patches" / "config"

    @property
    def series(self) -> Path:
        return self.root / "kernel-patches"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def filesystems(self) -> Path:
        return self.root / "images" / "filesystems"

    @property
    def suites(self) -> Path:
        return self.root / "testcases"

    @property
    def runs(self) -> Path:
        return self.root / "results" / "runs"


def is_workspace(folder: Path) -> bool:
    return (folder / "kernel-patches").is_dir() and (folder / "testcases").is_dir()


def find_workspace(start: Path | None = None) -> Workspace:
    """The workspace around ``start`` (default: LAB_WORKSPACE, then the current folder, then the lab's own tree).

    Raises UserError when there is none.
    """
    asked = os.environ.get("LAB_WORKSPACE")
    if start is None and asked:
        if not is_workspace(Path(asked)):
            raise UserError(f"LAB_WORKSPACE={asked} has no kernel-patches/ and testcases/")
        return Workspace(Path(asked).resolve())
    here = (start or Path.cwd()).resolve()
    own_tree = Path(__file__).resolve().parent.parent
    for folder in (here, *here.parents, own_tree):
        if is_workspace(folder):
            return Workspace(folder)
    raise UserError(
        f"no workspace around {here}",
        hint="run lab inside a folder that has kernel-patches/ and testcases/, or set LAB_WORKSPACE",
    )


def cache_root() -> Path:
    """The lab's cache: LAB_CACHE, else $XDG_CACHE_HOME/lab, else ~/.cache/lab. Absolute; may not exist yet."""
    asked = os.environ.get("LAB_CACHE")
    if asked:
        return Path(asked).absolute()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache").absolute() / "lab"
