"""checkpatch on a patch: the script of the pinned base, never one that the tree under test brings."""

from __future__ import annotations

import os
from pathlib import Path

from harness import process
from harness.cache import Cache, digest
from harness.errors import InfraError
from harness.kernel import findings, git
from harness.kernel.findings import Finding
from harness.kernel.series import Patch
from harness.kernel.source import Source

NEEDED = ("scripts", "include", "MAINTAINERS", "COPYING", "CREDITS", "Kbuild", "Makefile", "README")
"""What checkpatch and the get_maintainer.pl it asks read of a tree."""
ONLY_THERE = ("Documentation", "arch", "drivers", "fs", "init", "ipc", "kernel", "lib")
"""What they only want to see, to know a kernel tree by."""
# The base is a tree without history: no commit that a message names can be looked up.
ARGUMENTS = (
    "--ignore=UNKNOWN_COMMIT_ID",
    "--strict",
    "--terse",
    "--show-types",
    "--showfile",
    "--no-summary",
    "--color=never",
)


def tree(source: Source, cache: Cache) -> Path:
    """A folder that checkpatch takes for the base's tree, in the cache."""

    def extract(entry: Path) -> None:
        repo = git.Repo(source.repo)
        index = entry / ".index"
        repo.run("read-tree", source.record.commit, index=index)
        listed = repo.run("ls-files", "-z", "--", *NEEDED, index=index).stdout
        repo.run("checkout-index", "-z", "--stdin", index=index, work_tree=entry, input=listed.encode())
        index.unlink()
        for name in ONLY_THERE:
            (entry / name).mkdir(exist_ok=True)

    return cache.make("checkpatch", digest("checkpatch 1", source.record.tree), extract)


def run(patch: Patch, source: Source, cache: Cache) -> tuple[tuple[Finding, ...], str]:
    """What ``checkpatch.pl --strict`` says of a patch, and the same as it said it.

    Raises InfraError when it cannot run.
    """
    top = tree(source, cache)
    sandbox = process.Sandbox(readable=(top,))
    argv = ["perl", os.fspath(top / "scripts" / "checkpatch.pl"), *ARGUMENTS, "-"]
    done = process.run(argv, cwd=top, env={"HOME": "/"}, sandbox=sandbox, input=patch.data, check=False)
    found = findings.checkpatch(done.stdout, patch.path.name)
    # It exits with 1 when it has something to say, and as any perl script does when it died.
    if not done.ok and not found:
        raise InfraError(f"checkpatch.pl of {source.name} failed on {patch.path.name}: {done.stderr or done.stdout}")
    return found, done.stdout + done.stderr
