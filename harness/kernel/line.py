"""The line of development between two commits of a git base: what a bisect walks along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.catalogue.model import Base
from harness.errors import UserError
from harness.kernel import git, source


@dataclass(frozen=True)
class Commit:
    """A commit: its hash and the first line of its message."""

    hash: str
    subject: str


def between(base: Base, root: Path, good: str, bad: str) -> tuple[Commit, ...]:
    """The commits after ``good`` up to ``bad``, oldest first, along first parents: a merge counts as one.

    Raises UserError when ``good`` is no ancestor of ``bad`` on that line: then there is nothing to walk along.
    """
    said = source.ask_git(base, root, "log", "--first-parent", "--reverse", "--format=%H %s", f"{good}..{bad}")
    found = tuple(Commit(*line.partition(" ")[::2]) for line in said.splitlines())
    above = source.ask_git(base, root, "rev-list", "--first-parent", "-n", str(len(found) + 1), bad).splitlines()
    if not found or above[-1] != good:
        raise UserError(f"{good[:12]} is not on the line that leads to {bad[:12]}: no bisect between them")
    return found


def export(root: Path, commit: str, folder: Path) -> None:
    """The files of a commit of the git tree around ``root``, those below ``root`` alone, in a new folder.

    Raises UserError when there is no such commit, InfraError when the host cannot.
    """
    base = Base(title="", git=str(root))
    prefix = source.ask_git(base, root, "rev-parse", "--show-prefix")
    tree = f"{commit}:{prefix}" if prefix else commit
    source.ask_git(base, root, "rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")
    folder.mkdir(parents=True)
    archive = folder / ".archive.tar"
    top = source.ask_git(base, root, "rev-parse", "--show-toplevel")
    process.run(["git", *git.READ_ONLY, "-C", top, "archive", "--output", str(archive), tree], env=git.QUIET)
    process.run(["tar", "-xf", str(archive), "-C", str(folder)])
    archive.unlink()
