"""Build a kernel, or find it: equal inputs have equal keys, and equal keys equal bytes.

The key is made of the source's git tree, what the patches change, the options asked for, and the compiler. Nothing runs
to make it when the base was fetched before.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from harness import process
from harness.cache import Cache, digest
from harness.errors import CommandError
from harness.kernel import compiler, config, configured, git, series, source, tree
from harness.kernel.make import Make
from harness.kernel.request import KernelRequest
from harness.progress import Progress, Step, silent

RECIPE = "1"
"""Raise it when this module makes another kernel from the same inputs."""

TARGETS = ("vmlinux", "headers")
OBJECTS_PER_OPTION = 1.65
"""Objects kbuild makes for each option that is on: the guess before a configuration was built once."""


class Facts(msgspec.Struct, frozen=True):
    """kernel.json: what a kernel is and how it was made."""

    label: str
    release: str
    source: source.Record
    patches: tuple[str, ...]  # files, in order
    commit: str
    compiler: str
    sandboxed: bool
    seconds: float
    overridden: tuple[str, ...] = ()  # options of one fragment that a later one changed


@dataclass(frozen=True)
class Kernel:
    """A kernel in the cache. ``cached`` tells whether it was there already."""

    key: str
    folder: Path
    facts: Facts
    cached: bool

    @property
    def label(self) -> str:
        return self.facts.label

    @property
    def release(self) -> str:
        """As ``uname -r`` has it in the guest."""
        return self.facts.release

    @property
    def seconds(self) -> float:
        """How long it took to build when it was built."""
        return self.facts.seconds

    @property
    def vmlinux(self) -> Path:
        """The ELF to boot through its PVH note, without symbols."""
        return self.folder / "vmlinux"

    @property
    def symbols(self) -> Path:
        """The ELF with symbols (and DWARF, if debug.config was asked for) and no code: gdb's symbol file."""
        return self.folder / "vmlinux.debug"

    @property
    def system_map(self) -> Path:
        return self.folder / "System.map"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def headers(self) -> Path:
        """The installed uapi headers, a folder for ``-isystem``."""
        return self.folder / "headers"

    @property
    def log(self) -> Path:
        return self.folder / "build.log"

    @property
    def notes(self) -> Path:
        """What gcov needs to know of each profiled file (``fs/namei.gcno``); a folder that may be missing."""
        return self.folder / "notes"


def build(
    request: KernelRequest,
    cache: Cache,
    progress: Progress = silent,
    *,
    jobs: int | None = None,
    refresh: bool = False,
) -> Kernel:
    """The kernel of a request: from the cache, or built. ``jobs`` is make's -j (default: the processors it may use, and
    one: while make reads its Makefiles and shells start, no compiler runs in their job's place).

    Raises UserError (an option cannot be had), SeriesError (a patch does not apply), BuildError (it does not compile;
    carries the first error and the log), InfraError (the host: tools, disk, memory, network).
    """
    base = source.fetch(request.name, request.base, cache, progress, root=request.root, refresh=refresh)
    asked = request.asked()
    made_by = compiler.label(cache.root)
    key = _key(request, base, asked, made_by)
    found = cache.get("kernels", key)
    if found:
        return _load(key, found, request, base, cached=True)
    work = _Build(request, base, asked, made_by, key, cache, progress, jobs or len(os.sched_getaffinity(0)) + 1)
    folder = cache.make("kernels", key, work.into, partial(_say_waiting, progress))
    return _load(key, folder, request, base, cached=not work.ran)


def tree_of(base: source.Source, request: KernelRequest, purpose: str = "") -> str:
    """The id of the work tree that a request builds in, or of the one for a certain purpose."""
    own = digest(base.key, request.family)
    return digest(purpose, own) if purpose else own


def _key(request: KernelRequest, base: source.Source, asked: config.Asked, made_by: str) -> str:
    patches = (patch.key for patch in request.patches)
    profiled = ("profiled", *request.profiled) if request.profiled else ()
    told = ("make", *request.variables) if request.variables else ()
    return digest(RECIPE, base.record.tree, *patches, "|", asked.text, request.unfinished, made_by, *profiled, *told)


def find(request: KernelRequest, cache: Cache) -> Kernel | None:
    """The kernel of a request if it was built before. Nothing is fetched, nothing is built.

    Raises UserError, SeriesError or DeclarationError for a request that cannot be.
    """
    base = source.known(request.name, request.base, cache, root=request.root)
    if base is None:
        return None
    key = _key(request, base, request.asked(), compiler.label(cache.root))
    found = cache.get("kernels", key)
    return _load(key, found, request, base, cached=True) if found else None


def key_of(request: KernelRequest, cache: Cache) -> str:
    """The key of a request's kernel, built or not, of a base that was fetched before.

    Raises what ``find`` raises, and InfraError for a base that was not.
    """
    base = source.fetch(request.name, request.base, cache, root=request.root)
    return _key(request, base, request.asked(), compiler.label(cache.root))


def opened(
    base: source.Source, request: KernelRequest, cache: Cache, progress: Progress, purpose: str = ""
) -> AbstractContextManager[tree.WorkTree]:
    """The work tree of a request, for this lab alone; ``purpose`` has one of its own.

    One of a new quarantine begins as a copy of the one that all share.
    """
    own, like = tree_of(base, request, purpose), tree_of(base, request.plain, purpose)
    return tree.opened(own, cache, progress, request.quarantine, like if like != own else "")


def stored(key: str, request: KernelRequest, cache: Cache) -> Kernel | None:
    """The kernel of a request by its key, on a host that has neither the base's source nor the compiler it was made by.

    None when it is not in the cache.
    """
    found = cache.get("kernels", key)
    if found is None:
        return None
    facts = msgspec.json.decode((found / "kernel.json").read_bytes(), type=Facts)
    return Kernel(key, found, msgspec.structs.replace(facts, label=request.label(facts.source.version)), True)


def _say_waiting(progress: Progress) -> None:
    progress(Step("wait", note="another lab builds this kernel"))


def _load(key: str, folder: Path, request: KernelRequest, base: source.Source, *, cached: bool) -> Kernel:
    facts = msgspec.json.decode((folder / "kernel.json").read_bytes(), type=Facts)
    # The same kernel may be asked for under another name: a series that was renamed, a tip that equals a patch.
    return Kernel(key, folder, msgspec.structs.replace(facts, label=request.label(base.version)), cached)


class _Build:
    """One build: what the steps share."""

    def __init__(
        self,
        request: KernelRequest,
        base: source.Source,
        asked: config.Asked,
        made_by: str,
        key: str,
        cache: Cache,
        progress: Progress,
        jobs: int,
    ) -> None:
        self.request = request
        self.base = base
        self.asked = asked
        self.made_by = made_by
        self.label = request.label(base.version)
        self.cache = cache
        self.progress = progress
        self.jobs = jobs
        self.log = cache.root / "logs" / f"kernel-{key}.log"
        self.ran = False

    def into(self, entry: Path) -> None:
        """Make the cache's entry."""
        self.ran = True
        started = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        repo = git.Repo(self.base.repo)
        commit = self._commit(repo)
        with opened(self.base, self.request, self.cache, self.progress) as work:
            self.progress(Step("checkout", note=self.label))
            work.switch(repo, commit)
            make = Make(work, self.log, self.label, self.jobs, self.progress)
            options_on = configured.configure(make, repo, commit, self.asked, self.request.unfinished, self.made_by)
            self._compile(work, make, options_on)
            release = self._keep(work, make, entry)
        shutil.move(self.log, entry / "build.log")
        facts = Facts(
            label=self.label,
            release=release,
            source=self.base.record,
            patches=tuple(f"{patch.path.parent.name}/{patch.path.name}" for patch in self.request.patches),
            commit=commit,
            compiler=self.made_by,
            sandboxed=process.sandbox_works(),
            seconds=round(time.monotonic() - started, 1),
            overridden=tuple(f"{old.where}: {old.line}, {new.where}: {new.line}" for old, new in self.asked.overridden),
        )
        (entry / "kernel.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts)))

    def _commit(self, repo: git.Repo) -> str:
        patches = self.request.patches
        if not patches:
            return self.base.record.commit
        self.progress(Step("apply", 0, len(patches), self.label))
        return series.apply(repo, self.base.record.commit, patches)[-1]

    def _compile(self, work: tree.WorkTree, make: Make, options_on: int) -> None:
        known = self.cache.root / "counts" / digest(self.base.version.rpartition(".")[0], self.request.family)
        total = _expected(known, options_on) if work.is_new else 0
        profile = [f"GCOV_PROFILE_{Path(name).stem}.o=y" for name in self.request.profiled]
        done = make.run([*dict.fromkeys((*profile, *self.request.variables)), *TARGETS], total)
        if work.is_new:
            known.parent.mkdir(exist_ok=True)
            known.write_text(str(done))
            work.mark_built()

    def _keep(self, work: tree.WorkTree, make: Make, entry: Path) -> str:
        """Copy what is of use out of the build. In the sandbox: the build may hold links that lead elsewhere."""
        self.progress(Step("keep", note=self.label))
        script = """
            set -e
            strip --strip-all -o "$0/vmlinux" build/vmlinux
            objcopy --only-keep-debug build/vmlinux "$0/vmlinux.debug"
            cp build/System.map "$0/System.map"
            cp build/.config "$0/config"
            cp build/include/config/kernel.release "$0/release"
            cp -rL build/usr/include "$0/headers"
            find "$0/headers" -type f ! -name '*.h' -delete
            for notes; do
                test -e "build/$notes" || continue
                mkdir -p "$0/notes/${notes%/*}"
                cp "build/$notes" "$0/notes/$notes"
            done
        """
        notes = [name.removesuffix(".c") + ".gcno" for name in self.request.profiled]
        try:
            work.run(["sh", "-c", script, os.fspath(entry), *notes], writable=[entry])
        except CommandError as exc:
            raise make.failure(exc.output.splitlines(), exc) from exc
        release = (entry / "release").read_text().strip()
        (entry / "release").unlink()
        return release


def _expected(known: Path, options_on: int) -> int:
    """How many objects a full build makes: what the last one of this kind made, else a guess by the options on."""
    try:
        return int(known.read_text())
    except (OSError, ValueError):
        return round(options_on * OBJECTS_PER_OPTION)
