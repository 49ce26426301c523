"""What a manifest says of the host: versions, the workspace's git state. Read once a process; never fails."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

from harness import process
from harness.errors import LabError
from harness.results.model import GitState, Tools

PATIENCE = 10.0
"""Seconds a tool gets to say its version."""
GIT = ("git", "--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false")
"""A tree that is only read: whoever owns it (in a container root runs on a user's clone), no lock on its index taken,
no program of its configuration started."""


def _said(*argv: str, cwd: Path | None = None) -> str | None:
    """Standard output of a command, or None when it is not there or fails."""
    try:
        done = process.run(argv, cwd=cwd, timeout=PATIENCE, check=False)
    except LabError:
        return None
    return done.stdout if done.ok else None


def _first_line(*argv: str) -> str:
    said = _said(*argv)
    return said.splitlines()[0].strip() if said and said.strip() else ""


@cache
def tools() -> Tools:
    """Versions of the lab, Python, QEMU, the compiler and the host's kernel."""
    try:
        lab = metadata.version("lab")
    except metadata.PackageNotFoundError:
        lab = ""
    return Tools(
        lab=lab,
        host=os.environ.get("LAB_HOST") or platform.node(),
        python=platform.python_version(),
        qemu=_first_line("qemu-system-x86_64", "--version"),
        compiler=_first_line("gcc", "--version"),
        host_kernel=platform.release(),
    )


def git_state(folder: Path) -> GitState | None:
    """Commit and changed files of the work tree around ``folder``; None when it is not one."""
    commit = _said(*GIT, "rev-parse", "HEAD", cwd=folder)
    if commit is None:
        return None
    changed = _said(*GIT, "status", "--porcelain", cwd=folder) or ""
    return GitState(commit=commit.strip(), changed=tuple(changed.splitlines()))


def git_diff(folder: Path) -> str:
    """What separates the tracked files of the work tree from its commit, as a patch; empty when nothing does."""
    return _said(*GIT, "diff", "--binary", "--no-ext-diff", "--no-textconv", "HEAD", cwd=folder) or ""
