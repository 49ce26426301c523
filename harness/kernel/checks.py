"""What compilers and checkers say of the files that a patch touches: before it and after it.

Each output is kept by the content of what made it: the source, the patches, the options, the compiler, the files. The
compilations have output folders of their own beside ``build/``, so that a stricter compiler makes no kernel anew.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness import process
from harness.cache import Cache, digest
from harness.kernel import compiler, findings, git, series, source, tree
from harness.kernel.build import tree_of
from harness.kernel.findings import Finding
from harness.kernel.make import Make
from harness.kernel.patch import paths
from harness.kernel.request import KernelRequest
from harness.kernel.series import Patch
from harness.progress import Progress, Step

NOT_OF_THE_KERNEL = ("Documentation/", "tools/", "scripts/", "samples/", "usr/")
"""Where no object of the kernel comes from."""


class Way(StrEnum):
    """How files are looked at."""

    WARNINGS = "warnings"  # gcc and kernel-doc with W=1
    SPARSE = "sparse"


WORDS = {Way.WARNINGS: ("W=1",), Way.SPARSE: ("W=1", "C=2", "CHECK=sparse")}


@dataclass(frozen=True)
class Delta:
    """What a patch adds. ``new`` are complaints that were not there before it, ``not_built`` objects of files that it
    touches and that the configuration has not; ``log`` is all that was said after it.
    """

    new: tuple[Finding, ...]
    not_built: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class Bench:
    """Where states are compiled and compared. ``jobs`` is make's -j."""

    base: source.Source
    cache: Cache
    progress: Progress
    jobs: int

    def delta(self, way: Way, before: KernelRequest, after: KernelRequest, files: Sequence[str]) -> Delta:
        """What ``way`` says of ``files`` after a patch and did not say before it.

        Raises UserError (an option cannot be had), SeriesError, BuildError (make itself fails), InfraError.
        """
        old, new = self._said(way, before, files), self._said(way, after, files)
        lines = new.read_text(errors="replace").splitlines()
        known = findings.compiler(old.read_text(errors="replace").splitlines())
        return Delta(findings.added(known, findings.compiler(lines)), findings.not_built(lines), new)

    def delta_key(self, way: Way, before: KernelRequest, after: KernelRequest, files: Sequence[str]) -> str:
        """Equal keys have equal deltas."""
        return digest(self._key(way, before, files), self._key(way, after, files))

    def sources(self, patch: Patch, of_series: Iterable[Patch], after: KernelRequest) -> tuple[str, ...]:
        """The .c files that a patch is judged by: those it touches, and those that its series touches somewhere and
        that include a header which this patch touches.
        """
        own = touched(patch)
        names = [name.rpartition("/")[2] for name in own if name.endswith(".h")]
        found = {name for name in own if _is_source(name)}
        candidates = {name for other in of_series for name in touched(other) if _is_source(name)} - found
        if names and candidates:
            pattern = rf'#\s*include\s*[<"](.*/)?({"|".join(map(re.escape, names))})[>"]'
            git_grep = ["grep", "-lE", "--name-only", pattern, self._commit(after), "--", *sorted(candidates)]
            said = git.Repo(self.base.repo).run(*git_grep, check=False).stdout
            found |= {line.partition(":")[2] for line in said.splitlines()}
        return tuple(sorted(found))

    def _commit(self, request: KernelRequest) -> str:
        commit = self.base.record.commit
        return series.apply(git.Repo(self.base.repo), commit, request.patches)[-1] if request.patches else commit

    def _key(self, way: Way, request: KernelRequest, files: Sequence[str]) -> str:
        by = [compiler.label(self.cache.root), *([_sparse()] if way is Way.SPARSE else [])]
        patches = (patch.key for patch in request.patches)
        asked = (request.asked().text, request.unfinished)
        return digest("said 1", way, self.base.record.tree, *patches, "|", *asked, *by, *files)

    def _said(self, way: Way, request: KernelRequest, files: Sequence[str]) -> Path:
        """The file with all that was said of one state."""

        def say(entry: Path) -> None:
            with tree.opened(tree_of(self.base, request), self.cache, self.progress, request.quarantine) as work:
                self._compile(work, way, request, files, entry / "said")

        return self.cache.make("said", self._key(way, request, files), say) / "said"

    def _compile(self, work: tree.WorkTree, way: Way, request: KernelRequest, files: Sequence[str], log: Path) -> None:
        repo = git.Repo(self.base.repo)
        commit = self._commit(request)
        label = request.label(self.base.version)
        self.progress(Step("checkout", note=label))
        work.switch(repo, commit)
        out = work.output("check")
        log.touch()
        make = Make(out, log.with_name("configured"), label, self.jobs, self.progress)
        _configure(make, request, commit)
        there = [_object(name) for name in files if (work.source / name).is_file()]
        if there:
            out.run(["sh", "-c", 'cd "$0" && rm -f -- "$@"', out.build.name, *there])
            Make(out, log, label, self.jobs, self.progress).all_that_goes([*WORDS[way], *there])


def _configure(make: Make, request: KernelRequest, commit: str) -> None:
    """Configure an output folder, unless it is configured for just this state."""
    asked = request.asked()
    state = digest(commit, asked.text, request.unfinished)
    known = make.work.folder / f"configured-{make.work.build.name}"
    if known.is_file() and known.read_text() == state:
        return
    known.unlink(missing_ok=True)
    make.configure(asked, request.unfinished)
    known.write_text(state)


def _object(name: str) -> str:
    return name.removesuffix(".c") + ".o"


@functools.cache
def _sparse() -> str:
    return process.run(["sparse", "--version"]).stdout.strip()


def touched(patch: Patch) -> tuple[str, ...]:
    """The files that a patch names, sorted."""
    return tuple(sorted({name for _, name in paths(patch.diff)}))


def _is_source(name: str) -> bool:
    foreign = name.startswith("arch/") and not name.startswith("arch/x86/")
    return name.endswith(".c") and not foreign and not name.startswith(NOT_OF_THE_KERNEL)
