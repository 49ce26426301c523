"""Whether a build's configuration still stands, so that make need not be asked for it again: seconds of each build.

It stands when the same was asked for, by the same compiler, of a source that says the same to Kconfig, and when
``.config`` is as it came out then. The record lies beside the tree, where no Makefile can write.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from harness.cache import digest
from harness.errors import CommandError
from harness.kernel import config, git
from harness.kernel.make import Make
from harness.kernel.tree import WorkTree

SILENT = re.compile(
    r"(?!scripts/|tools/).+\.(?:c|h|S|rst|txt)|MAINTAINERS|CREDITS|(?!arch/|scripts/|tools/).+/(?:Makefile|Kbuild)"
)
"""Paths of which Kconfig hears nothing. It reads Kconfig files, runs scripts, and inherits what the topmost Makefile
and the architecture's export; Makefiles below are not read then."""


class Record(msgspec.Struct, frozen=True):
    """What an output folder was configured for last; ``text`` is the digest of the ``.config`` that came of it."""

    commit: str
    wishes: str
    text: str


def configure(make: Make, repo: git.Repo, commit: str, asked: config.Asked, forgiven: str, made_by: str) -> int:
    """Have an output folder configured, if it is not; how many options are on. ``made_by`` is the compiler.

    Raises what ``Make.configure`` raises.
    """
    work = make.work
    wishes = digest(asked.text, forgiven, made_by)
    text = _standing(work, repo, commit, wishes)
    if text is None:
        _path(work).unlink(missing_ok=True)
        make.configure(asked, forgiven)
        text = work.read(".config")
        _path(work).write_bytes(msgspec.json.encode(Record(commit, wishes, digest(text))))
    return len(config.read_result(text))


def _standing(work: WorkTree, repo: git.Repo, commit: str, wishes: str) -> str | None:
    """The ``.config``, if it stands."""
    try:
        record = msgspec.json.decode(_path(work).read_bytes(), type=Record)
        if record.wishes != wishes or not _silent(repo, record.commit, commit):
            return None
        text = work.read(".config")
    except (OSError, msgspec.MsgspecError, CommandError):
        return None
    return text if digest(text) == record.text else None


def _silent(repo: git.Repo, before: str, after: str) -> bool:
    """Whether nothing that Kconfig hears of differs. Raises CommandError for a commit that is not there any more."""
    names = repo.run("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after).stdout.split("\0")
    return all(SILENT.fullmatch(name) for name in names if name)


def _path(work: WorkTree) -> Path:
    return work.folder / f"configured-{work.build.name}"
