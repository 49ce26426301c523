"""The kselftest headers that all case programs are built with, of one pinned source for all bases.

Their teardown rules differ between kernel versions, so a program built with the header of the kernel under test would
clean up on one base and leak on another (6.12's runs a teardown after a failed assertion, older ones skip it).
"""

from __future__ import annotations

from pathlib import Path

from harness.cache import Cache, digest
from harness.kernel import git
from harness.kernel.source import Source

FOLDER = "tools/testing/selftests"
NAMES = ("kselftest.h", "kselftest_harness.h")


def folder(source: Source, cache: Cache) -> Path:
    """A folder with ``NAMES`` as they are in ``source``, in the cache.

    Raises CommandError when the source has no such headers.
    """

    def extract(scratch: Path) -> None:
        repo = git.Repo(source.repo)
        for name in NAMES:
            (scratch / name).write_text(repo.read("show", f"{source.record.commit}:{FOLDER}/{name}"))

    return cache.make("selftests", digest("selftests 1", source.record.tree), extract)
