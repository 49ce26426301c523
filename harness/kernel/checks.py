"""What compilers and checkers say of the files that a patch touches: before it and after it.

Each output is kept by the content of what made it: the source, the patches, the options, the compiler, the files.
They are compiled in a work tree of their own, so that a stricter compiler makes no kernel anew and waits for none.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from harness import process
from harness.cache import Cache, digest
from harness.kernel import assembly, compiler, config, configured, findings, git, kbuild, series, source, tree
from harness.kernel.assembly import Lines
from harness.kernel.build import opened
from harness.kernel.findings import Finding
from harness.kernel.make import Make
from harness.kernel.patch import paths, touched_lines
from harness.kernel.request import KernelRequest
from harness.kernel.series import Patch
from harness.progress import Progress, Step

SAID = "said"
SPARSE = "CHECK=sparse"
MAKEFILES = ("Kbuild", "Makefile")
NOT_OF_THE_KERNEL = ("Documentation/", "tools/", "scripts/", "samples/", "usr/")
"""Where no object of the kernel comes from."""


class Way(StrEnum):
    """How files are looked at."""

    WARNINGS = "warnings"  # gcc and kernel-doc with W=1
    SPARSE = "sparse"
    OFF = "off"  # compiled to assembly, with the series' option off


OUTPUT = {Way.WARNINGS: "check", Way.SPARSE: "check", Way.OFF: "off"}
JUDGES = {Way.WARNINGS: "1", Way.SPARSE: "1", Way.OFF: "2"}
"""Raise one when this module or harness.kernel.assembly comes to other findings from the same outputs."""
MADE = {Way.WARNINGS: ".o", Way.SPARSE: ".o", Way.OFF: ".s"}


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
    """Where states are compiled and compared. ``jobs`` is make's -j.

    ``ways`` are those that will be asked for: all of one state are gone before the tree is switched to the next.
    ``off`` are the options that ``Way.OFF`` turns off.
    """

    base: source.Source
    cache: Cache
    progress: Progress
    jobs: int
    ways: tuple[Way, ...]
    off: tuple[str, ...] = ()

    def delta(self, way: Way, before: KernelRequest, after: KernelRequest, files: Sequence[str]) -> Delta:
        """What ``way`` says of ``files`` after a patch and did not say before it.

        Raises UserError (an option cannot be had), SeriesError, BuildError (make itself fails), InfraError.
        """
        for request in (before, after):
            for each in self.ways:
                self._said(each, request, files)
        old, new = self._said(way, before, files), self._said(way, after, files)
        lines = (new / SAID).read_text(errors="replace").splitlines()
        if way is Way.OFF:
            found = tuple(self._untouched(old, new, before, after, files))
        else:
            pick = findings.sparse if way is Way.SPARSE else findings.compiler
            known = pick((old / SAID).read_text(errors="replace").splitlines())
            found = findings.added(known, pick(lines))
        return Delta(found, findings.not_built(lines), new / SAID)

    def _untouched(
        self, old: Path, new: Path, before: KernelRequest, after: KernelRequest, files: Sequence[str]
    ) -> Iterator[Finding]:
        """Functions whose code differs with the option off, though no line of theirs was touched."""
        removed, added = self._touched_lines(before, after)
        for name in files:
            one, other = (folder / "made" / _made(name, Way.OFF) for folder in (old, new))
            if not (one.is_file() and other.is_file()):
                continue
            states = self._compiled(name, one, before), self._compiled(name, other, after)
            for each in assembly.untouched(*states, removed, added):
                file, line = each.any.place
                text = f"{each.any.name}() {each.words}, with {' and '.join(self.off)} off"
                yield Finding(file or name, line, "error", "OFF", text)

    def _compiled(self, name: str, path: Path, request: KernelRequest) -> assembly.State:
        text = git.Repo(self.base.repo).run("cat-file", "blob", f"{self._commit(request)}:{name}").stdout
        return path.read_text(errors="replace"), assembly.Source(name, text)

    def _touched_lines(self, before: KernelRequest, after: KernelRequest) -> tuple[Lines, Lines]:
        commits = [self._commit(before), self._commit(after)]
        diff = git.Repo(self.base.repo).run("diff", "--no-ext-diff", "--no-renames", "-U0", *commits).stdout
        return touched_lines(diff)

    def delta_key(self, way: Way, before: KernelRequest, after: KernelRequest, files: Sequence[str]) -> str:
        """Equal keys have equal deltas."""
        return digest(way, JUDGES[way], self._key(way, before, files), self._key(way, after, files))

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
        words = self._words(way)
        by = [compiler.label(self.cache.root), *([_sparse()] if SPARSE in words else []), *words]
        patches = (patch.key for patch in request.patches)
        asked = (self._asked(way, request).text, request.unfinished)
        return digest("said 3", OUTPUT[way], self.base.record.tree, *patches, "|", *asked, *by, *files)

    def _words(self, way: Way) -> tuple[str, ...]:
        """What make is told besides the targets. Sparse, if it will be asked, looks in the same make as gcc."""
        if way is Way.OFF:
            return ()
        return ("W=1", "C=1", SPARSE) if Way.SPARSE in self.ways or way is Way.SPARSE else ("W=1",)

    def _asked(self, way: Way, request: KernelRequest) -> config.Asked:
        """The options of a state; those that series bring are left to their defaults when theirs is to be off."""
        asked = request.asked()
        if way is not Way.OFF:
            return asked
        kept = [option for option in asked.options if not option.series and option.name not in self.off]
        return config.merge([kept, [config.read_option(f"{name}=n", "off") for name in self.off]])

    def _said(self, way: Way, request: KernelRequest, files: Sequence[str]) -> Path:
        """The folder with all that was said of one state, and for ``Way.OFF`` what was made."""

        def say(entry: Path) -> None:
            # A tree of its own: kernels are built elsewhere meanwhile, and their files keep their age.
            with opened(self.base, request, self.cache, self.progress, "checks") as work:
                self._compile(work, way, request, files, entry)

        return self.cache.make("said", self._key(way, request, files), say)

    def _compile(
        self, work: tree.WorkTree, way: Way, request: KernelRequest, files: Sequence[str], entry: Path
    ) -> None:
        commit = self._commit(request)
        label = request.label(self.base.version)
        self.progress(Step("checkout", note=label))
        work.switch(git.Repo(self.base.repo), commit)
        out = work.output(OUTPUT[way])
        log = entry / SAID
        log.touch()
        there = [name for name in files if (work.source / name).is_file()]
        if not there:
            return
        make = Make(out, log, label, self.jobs, self.progress)
        configured.configure(
            replace(make, log=entry / "configured"),
            git.Repo(self.base.repo),
            commit,
            self._asked(way, request),
            request.unfinished,
            compiler.label(self.cache.root),
        )
        targets = [_made(name, way) for name in self._built(there, out, commit)]
        if not targets:
            return
        out.run(["sh", "-c", 'cd "$0" && rm -f -- "$@"', out.build.name, *targets])
        make.all_that_goes([*self._words(way), *targets])
        if way is Way.OFF:
            _keep(out, targets, entry / "made")

    def _built(self, files: Sequence[str], out: tree.WorkTree, commit: str) -> list[str]:
        """The files whose folders this configuration builds."""
        options = config.read_result(out.read(".config"))
        repo = git.Repo(self.base.repo)

        @functools.cache
        def makefile(folder: str) -> str:
            blobs = (repo.run("cat-file", "blob", f"{commit}:{folder}/{name}", check=False) for name in MAKEFILES)
            return next((blob.stdout for blob in blobs if blob.ok), "")

        return [name for name in files if kbuild.reached(name, options, makefile)]


def _keep(out: tree.WorkTree, names: Sequence[str], into: Path) -> None:
    """Copy what was made of some files out of the build, in the sandbox: it may hold links that lead elsewhere."""
    into.mkdir()
    script = 'cd "$0" && into=$1 && shift && for name; do [ ! -e "$name" ] || cp -L --parents -- "$name" "$into"; done'
    out.run(["sh", "-c", script, out.build.name, os.fspath(into), *names], writable=[into])


def _made(name: str, way: Way) -> str:
    return name.removesuffix(".c") + MADE[way]


@functools.cache
def _sparse() -> str:
    return process.run(["sparse", "--version"]).stdout.strip()


def touched(patch: Patch) -> tuple[str, ...]:
    """The files that a patch names, sorted."""
    return tuple(sorted({name for _, name in paths(patch.diff)}))


def _is_source(name: str) -> bool:
    foreign = name.startswith("arch/") and not name.startswith("arch/x86/")
    return name.endswith(".c") and not foreign and not name.startswith(NOT_OF_THE_KERNEL)
