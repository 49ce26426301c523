"""Where things are: the workspace (what is asked for) and the cache (what was made)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UserError

OWN_TREE = Path(__file__).resolve().parent.parent
"""The lab's clone; of an installed package, the folder it was installed in."""


def shipped_root() -> Path:
    """What ships with the lab: its own tree, or the copy that an installed package carries."""
    return OWN_TREE if is_workspace(OWN_TREE) else OWN_TREE / "harness" / "shipped"


def own_command() -> str:
    """What a person types to run this lab."""
    return os.environ.get("LAB_COMMAND") or "lab"


@dataclass(frozen=True)
class Workspace:
    """A folder with kernel-patches/, testcases/ and results/: the lab's own tree is one.

    Bases, config fragments, images, filesystems, headers and tools that ship with the lab can be used in every
    workspace; a workspace's own file of the same name wins. Series and suites are the workspace's alone.
    """

    root: Path
    shipped: Path = field(default_factory=lambda: shipped_root())

    @property
    def layers(self) -> tuple[Path, ...]:
        """The folders that what is shared comes from, the one that wins last."""
        return (self.root,) if self.root == self.shipped else (self.shipped, self.root)

    def find(self, name: str) -> Path:
        """A shared file or folder by its path below the workspace; the workspace's own path when nobody has it."""
        return next((layer / name for layer in reversed(self.layers) if (layer / name).exists()), self.root / name)

    @property
    def series(self) -> Path:
        return self.root / "kernel-patches"

    @property
    def include(self) -> tuple[Path, ...]:
        """Where headers of test programs are, the workspace's own first; a folder may be missing."""
        return tuple(layer / "testcases" / "include" for layer in reversed(self.layers))

    @property
    def suites(self) -> Path:
        return self.root / "testcases"

    @property
    def runs(self) -> Path:
        return self.root / "results" / "runs"

    @property
    def published(self) -> Path:
        return self.root / "results" / "published"


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
    for folder in (here, *here.parents, OWN_TREE):
        if is_workspace(folder):
            return Workspace(folder)
    raise UserError(
        f"no workspace around {here}",
        hint="`lab init FOLDER` makes one; or run lab inside a folder that has kernel-patches/ and testcases/",
    )


def cache_root() -> Path:
    """The lab's cache: LAB_CACHE, else $XDG_CACHE_HOME/lab, else ~/.cache/lab. Absolute; may not exist yet.

    Raises UserError for a folder in which kbuild refuses to build.
    """
    asked = os.environ.get("LAB_CACHE")
    xdg = os.environ.get("XDG_CACHE_HOME")
    root = Path(asked) if asked else (Path(xdg) if xdg else Path.home() / ".cache") / "lab"
    if re.search(r"[\s:]", str(root.absolute())):
        raise UserError(
            f"the cache cannot be in {str(root)!r}: kernels do not build below a name with a blank or a colon",
            hint="set LAB_CACHE to another folder",
        )
    return root.absolute()
