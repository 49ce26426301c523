"""Which version of a file a patch changes, and which commits have just these versions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import process
from harness.kernel import git
from harness.kernel.patch import paths
from harness.kernel.series import Patch

BLOBS = re.compile(rb"^index ([0-9a-f]{7,64})\.\.([0-9a-f]{7,64})", re.MULTILINE)
DEPTH = 20000
"""Commits of a git tree that are looked at for the files of a series."""


def wanted(patches: Sequence[Patch]) -> dict[str, str]:
    """The blob (abbreviated) that each file must be before the first patch that touches it; zeros: not there."""
    first: dict[str, str] = {}
    for patch in patches:
        for part in re.split(rb"(?m)^(?=diff --git )", patch.diff):
            blobs = BLOBS.search(part)
            names = [name for _, name in paths(part)]
            if blobs and names:
                first.setdefault(names[0], blobs.group(1).decode())
    return first


def is_as_wanted(there: str | None, blob: str) -> bool:
    """Whether a blob (None: no file) is the abbreviated one; zeros want no file."""
    if not blob.strip("0"):
        return there is None
    return there is not None and there.startswith(blob)


def of_commit(repo: git.Repo, commit: str, names: Iterable[str]) -> dict[str, str]:
    """The blobs of those files that a commit has."""
    said = repo.run("ls-tree", "-r", "-z", commit, "--", *names).stdout
    return dict(_entry(line) for line in said.split("\0") if line)


def _entry(line: str) -> tuple[str, str]:
    facts, _, name = line.partition("\t")
    return name, facts.split()[2]


def ask(tree: Path, *argv: str) -> str:
    """What git says of somebody's tree, which is only read; "" when it fails."""
    return process.run(["git", *git.READ_ONLY, "-C", os.fspath(tree), *argv], env=git.QUIET, check=False).stdout.strip()


def newest_with(tree: Path, blobs: dict[str, str]) -> str:
    """The newest commit of a git tree whose files are all as wanted, "" when there is none.

    From its branches backwards: each commit that touched the files says what they were before it.
    """
    names = list(blobs)
    tips = ask(tree, "for-each-ref", "--format=%(objectname)", "--sort=-committerdate", "refs/heads", "refs/tags")
    for tip in dict.fromkeys(tips.split()):
        listed = ask(tree, "ls-tree", "-r", "-z", tip, "--", *names).split("\0")
        there = dict(_entry(line) for line in listed if line)
        commit = tip
        log = ask(tree, "log", f"-{DEPTH}", "--no-abbrev", "--raw", "--no-renames", "--format=%H", tip, "--", *names)
        for line in log.splitlines():
            if line.startswith(":"):
                _undo(there, line)
            elif line:
                if _all_as_wanted(there, blobs):
                    return ask(tree, "rev-parse", "--verify", "--quiet", commit)
                commit = f"{line}~1"
        if _all_as_wanted(there, blobs):
            return ask(tree, "rev-parse", "--verify", "--quiet", commit)
    return ""


def _undo(there: dict[str, str], raw: str) -> None:
    """Take back what a commit did to a file, as ``git log --raw`` tells it."""
    facts, _, name = raw.partition("\t")
    before = facts.split()[2]
    there[name] = before
    if not before.strip("0"):
        del there[name]


def _all_as_wanted(there: dict[str, str], blobs: dict[str, str]) -> bool:
    return all(is_as_wanted(there.get(name), blob) for name, blob in blobs.items())
