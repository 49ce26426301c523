"""The private work trees that kernels are built in: one per source and kind of configuration, kept between builds.

``<cache>/trees/<id>/`` has the checked-out source in ``linux/``, the build in ``linux/build/`` (inside, so that every
path the compiler sees is relative and ccache hits between trees) and git's index beside them. Another state of the
source is a checkout that touches only the files that differ, so the next make is incremental.

Makefiles of a patch are not trusted: make runs in a sandbox that can write ``build/`` alone, and the lab itself reads
nothing below ``build/`` that could be a symbolic link of theirs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from harness import process
from harness.cache import Cache, lock
from harness.errors import CommandError
from harness.guard import Limits
from harness.kernel import ccache, git
from harness.progress import Progress, Step

REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01",
    "KBUILD_BUILD_USER": "lab",
    "KBUILD_BUILD_HOST": "lab",
    "KBUILD_BUILD_VERSION": "1",
    # Set and empty: no "+" behind the release of a patched tree.
    "LOCALVERSION": "",
}
BUILD = "build"
OUTPUTS = ("check", "off")
"""Further output folders, for compilations that must not disturb the build (harness.kernel.checks)."""
END_OF_DEPENDENCIES = re.compile(rb"^\$\(deps_.*\):$", re.MULTILINE)
LIMITS = Limits(processes=2000, silence=1800, seconds=6 * 3600)
"""Of a make whose Makefiles nobody trusts: far beyond what a kernel's takes."""
QUARANTINE = "quarantine"
"""The file that marks a tree which is a series' own, last opened when it was touched."""
KEEP, UNUSED = 3, LIMITS.seconds
"""Quarantines that stay in any case, and the seconds after which nobody can be building in another one."""
JUST_BEFORE_THE_END = 10.0
"""Seconds before a killed build's last sign of life in which a file without a record may be half written."""


class WorkTree:
    """A work tree that this lab holds alone. Made by ``opened``."""

    def __init__(self, folder: Path, cache: Cache, quarantine: str = "", output: str = BUILD) -> None:
        self.folder = folder
        self.cache = cache
        self.source = folder / "linux"
        self.build = self.source / output
        self._quarantine = quarantine
        self._index = folder / "index"
        self._switching = folder / "switching"
        self._copied = folder / "copied"
        self._making = folder / ("making" if output == BUILD else f"making-{output}")
        self._means = ccache.means(cache, quarantine)
        self._env = {**self._means.env, **REPRODUCIBLE}

    def output(self, name: str) -> WorkTree:
        """The same source with an output folder of its own beside ``build/``: one of OUTPUTS."""
        assert name in OUTPUTS
        other = WorkTree(self.folder, self.cache, self._quarantine, name)
        other.build.mkdir(exist_ok=True)
        return other

    @property
    def is_new(self) -> bool:
        """Whether nothing was built to its end here yet."""
        return not (self.folder / "built").exists()

    def mark_built(self) -> None:
        (self.folder / "built").touch()

    def switch(self, repo: git.Repo, commit: str) -> None:
        """Check a commit out. Files that are as they should be keep their age."""
        self.source.mkdir(parents=True, exist_ok=True)
        interrupted = self._switching.exists()
        # We hold the tree's lock: a lock of git's own is that of a git which was killed.
        self._index.with_name("index.lock").unlink(missing_ok=True)
        self._switching.touch()
        if interrupted and self._index.exists():
            kept = [f"--exclude=/{name}/" for name in (BUILD, *OUTPUTS)]
            repo.run("clean", "-ffdxq", *kept, index=self._index, work_tree=self.source)
        if self._copied.exists():
            # Files of a copy are other files to git, and it would write them all anew; so have it look into them.
            repo.run("update-index", "-q", "--refresh", index=self._index, work_tree=self.source, check=False)
        repo.run("read-tree", "--reset", "-u", commit, index=self._index, work_tree=self.source)
        self._copied.unlink(missing_ok=True)
        self._switching.unlink()
        self.build.mkdir(exist_ok=True)

    def forget_config(self) -> None:
        """Remove the build's ``.config``, whatever stands there."""
        (self.build / ".config").unlink(missing_ok=True)

    def write_config(self, text: str) -> None:
        """Put a file in place of the build's ``.config``, never through a link that may stand there."""
        self.forget_config()
        path = self.build / ".config"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as stream:
            stream.write(text)

    def read(self, name: str) -> str:
        """A small text file of the build. Raises CommandError when there is none."""
        return self.run(["cat", f"{self.build.name}/{name}"]).stdout

    def run(self, argv: Sequence[str], *, writable: Sequence[Path] = ()) -> process.Completed:
        """Run a program in the tree's sandbox. Raises CommandError when it fails."""
        return process.run(argv, cwd=self.source, env=self._env, sandbox=self._sandbox(writable))

    @contextmanager
    def make(self, targets: Sequence[str], log: Path, jobs: int) -> Iterator[Iterator[str]]:
        """The lines of a make as they come, all kept in ``log``. Leaving the context ends it.

        Raises CommandError after the last line when make fails.
        """
        self._recover()
        self._making.touch()
        argv = [
            "make",
            f"O={self.build.name}",
            "ARCH=x86",
            f"-j{jobs}",
            "--output-sync=target",
            *self._means.variables,
            *targets,
        ]
        running = process.lines(
            argv,
            log,
            cwd=self.source,
            env=self._env,
            sandbox=self._sandbox(),
            limits=LIMITS if self._quarantine else None,
        )
        try:
            with contextlib.closing(cast(Generator[str, None, None], running)):
                yield running
        except CommandError as exc:
            # Make ended by itself, so it waited for its compilers and removed what they left half done.
            if exc.returncode > 0:
                self._making.unlink()
            raise
        self._making.unlink()

    def _sandbox(self, writable: Sequence[Path] = ()) -> process.Sandbox:
        means = self._means
        return process.Sandbox(
            readable=(self.source, *means.readable), writable=(self.build, *means.writable, *writable)
        )

    def _recover(self) -> None:
        """Remove what a killed build may have left half written, so that make cannot take it for done."""
        if self._making.exists():
            for path in unfinished(self.build):
                path.unlink(missing_ok=True)


def unfinished(build: Path) -> list[Path]:
    """Files of a killed kbuild that may be incomplete.

    kbuild writes ``.name.cmd`` after ``name``: a file younger than its record was being made anew, and a record that
    was cut short hides what the file depends on. What has no record counts when it is as young as the end.
    """
    files = {path: path.lstat() for path in _files(build)}
    end = max((each.st_mtime for each in files.values()), default=0.0)
    found: list[Path] = []
    for path, facts in files.items():
        if path.name.startswith(".") or "include/config" in path.as_posix():
            continue
        record = path.with_name(f".{path.name}.cmd")
        known = files.get(record)
        if known is None:
            if facts.st_mtime > end - JUST_BEFORE_THE_END:
                found.append(path)
        elif facts.st_mtime_ns > known.st_mtime_ns or not _is_whole(record):
            found += [path, record]
    return found


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _is_whole(record: Path) -> bool:
    """Whether a .cmd file was written to its end: one that lists dependencies closes them with an empty rule."""
    if record.is_symlink() or not record.is_file():
        return False
    text = record.read_bytes()
    return bool(END_OF_DEPENDENCIES.search(text)) if b"-MMD" in text else text.endswith(b"\n")


@contextmanager
def opened(tree_id: str, cache: Cache, progress: Progress, quarantine: str = "", like: str = "") -> Iterator[WorkTree]:
    """A work tree for this lab alone; waits while another lab builds in it.

    ``like`` is a tree that a new one begins as a copy of, so that it builds what differs alone.
    """
    folder = cache.root / "trees" / tree_id

    def waiting() -> None:
        progress(Step("wait", note="another lab builds in this tree"))

    with lock(folder.parent / f".{tree_id}.lock", waiting):
        folder.mkdir(exist_ok=True)
        if quarantine:
            (folder / QUARANTINE).touch()
        if like and not (folder / "linux").exists():
            _make_room(cache)
            _begin_as(folder, like, cache, progress, waiting)
        yield WorkTree(folder, cache, quarantine)


def _make_room(cache: Cache) -> None:
    """Throw old quarantines away: two GiB each, and copied again in a minute should somebody come back to one."""
    cache.trim("trees", KEEP, UNUSED, QUARANTINE)
    cache.trim("ccaches", KEEP, UNUSED)


def _begin_as(folder: Path, like: str, cache: Cache, progress: Progress, waiting: Callable[[], None]) -> None:
    """Copy a tree's source and build, with the marks of what was left half done in it."""
    other = cache.root / "trees" / like
    with lock(other.parent / f".{like}.lock", waiting):
        if not (other / "index").exists():
            return
        progress(Step("copy", note="a tree that is built already"))
        scratch = folder / "linux.new"
        shutil.rmtree(scratch, ignore_errors=True)
        process.run(["cp", "-a", "--reflink=auto", os.fspath(other / "linux"), os.fspath(scratch)])
        shutil.copy2(other / "index", folder / "index")
        for mark in (other / "built", other / "switching", *other.glob("making*")):
            if mark.exists():
                (folder / mark.name).touch()
        (folder / "copied").touch()
        scratch.rename(folder / "linux")


def remove(tree_id: str, cache: Cache) -> None:
    """Throw a work tree away."""
    with opened(tree_id, cache, lambda _step: None) as tree:
        shutil.rmtree(tree.folder)
