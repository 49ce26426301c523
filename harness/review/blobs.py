"""Which version of a file a patch changes, and whether a commit has it."""

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


def ask(tree: Path, *argv: str, input: str = "") -> str:
    """What git says of somebody's tree, which is only read; "" when it fails."""
    argv = ("git", *git.READ_ONLY, "-C", os.fspath(tree), *argv)
    return process.run(argv, env=git.QUIET, input=input.encode(errors="surrogateescape"), check=False).stdout.strip()
