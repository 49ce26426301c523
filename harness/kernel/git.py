"""Git on a repository of the lab's own: no hooks, no configuration of the user or the host, fixed committer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import process

WHO = {"NAME": "lab", "EMAIL": "lab@localhost"}
WHEN = "1767225600 +0000"
"""Who commits and when is fixed, so that equal patches on an equal base have equal commit ids everywhere."""

QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_TERMINAL_PROMPT": "0"}

READ_ONLY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""For a git tree of the user's, which is only read."""

OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.compression=0",
    "core.autocrlf=false",
    "gc.auto=0",
    "checkout.workers=0",
)


class Repo:
    """A bare repository. An index and a work tree are named by the caller: several trees share one repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(
        self,
        *args: str,
        index: Path | None = None,
        work_tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: bytes | None = None,
        check: bool = True,
    ) -> process.Completed:
        """Run one git command. Raises CommandError when ``check`` and git fails."""
        settings = [word for option in OPTIONS for word in ("-c", option)]
        own = QUIET | {"GIT_DIR": os.fspath(self.path)}
        for role in ("AUTHOR", "COMMITTER"):
            own |= {f"GIT_{role}_{key}": value for key, value in WHO.items()} | {f"GIT_{role}_DATE": WHEN}
        if index is not None:
            own["GIT_INDEX_FILE"] = os.fspath(index)
        if work_tree is not None:
            own["GIT_WORK_TREE"] = os.fspath(work_tree)
            settings += ["-c", "core.bare=false"]
        return process.run(
            ["git", *settings, *args],
            cwd=work_tree or self.path, env=own | dict(env or {}), input=input, check=check,
        )  # fmt: skip

    def read(self, *args: str) -> str:
        """What a git command prints, without the newline at its end."""
        return self.run(*args).stdout.rstrip("\n")

    def resolve(self, name: str) -> str | None:
        """The object id of a revision, or None."""
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, check=False)
        return done.stdout.strip() if done.ok else None

    def known(self, refs: Sequence[str]) -> dict[str, str]:
        """The object ids of those refs that are there, asked for at once."""
        if not refs:
            return {}
        said = self.run("for-each-ref", "--format=%(refname) %(objectname)", *refs).stdout
        return dict(line.split() for line in said.splitlines())


def init(path: Path) -> Repo:
    """A new, empty, bare repository."""
    process.run(["git", "init", "--quiet", "--bare", "--template=", os.fspath(path)], env=QUIET)
    return Repo(path)


def diffstat(repo: Repo, before: str, after: str) -> dict[str, tuple[int, int]]:
    """Insertions and deletions by file between two commits, renames as format-patch sees them; 0 for binary files."""
    found: dict[str, tuple[int, int]] = {}
    fields = repo.run("diff", "--numstat", "-M", "-z", before, after).stdout.split("\0")
    while fields and fields[0]:
        plus, minus, name = fields.pop(0).split("\t", 2)
        if not name:  # a rename: its two names follow
            _, name = fields.pop(0), fields.pop(0)
        found[name] = (int(plus), int(minus)) if plus.isdigit() else (0, 0)
    return found


def patch_id(repo: Repo, diff: bytes) -> str:
    """The id that ``git format-patch --base`` gives a patch in ``prerequisite-patch-id`` lines."""
    return repo.run("patch-id", "--stable", input=diff).stdout.split(" ")[0]
