"""Walk a series: each patch on those before it, held to what a maintainer asks of a patch.

    series = declared(place, "checkpoint-relink")          # or from_files(place, paths, base="6.12")
    report = walk(place, series, wishes, watcher)
    report.good; report.rows[3].of(Check.BUILD).note

A red patch is recorded and the walk goes on; a patch that does not apply is left out of the states behind it. Each
result is kept by the content of what it is about: a walk that was stopped goes on where it was, and a walk of an
unchanged series asks no compiler.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from harness.cache import digest
from harness.catalogue.load import requirements
from harness.catalogue.model import Excuse
from harness.errors import BuildError, DeclarationError, SeriesError, UserError
from harness.kernel import checkpatch, checks, cover, git, source, subject
from harness.kernel import series as patch_files
from harness.kernel.build import Kernel, build, key_of
from harness.kernel.findings import Finding
from harness.kernel.request import KernelRequest, applied, quarantine_of
from harness.kernel.series import Patch
from harness.progress import Step
from harness.runner.boot import guest
from harness.runner.checked import Check, Outcome, Report, Result, Row, Walked
from harness.runner.prepare import Place, Wishes

ALL = tuple(Check)
CHECKS = "checks"
"""The cache's folder of results."""
SOURCE_IS_WRONG = re.compile(r"\berror:(?!.*\b(?:Killed|No space left|Cannot allocate)\b)|undefined reference to")


class Watcher(Protocol):
    """Who is told of a walk."""

    def step(self, step: Step) -> None:
        """A sign of life of long work."""

    def checking(self, patch: Patch, check: Check, done: int, total: int) -> None:
        """A check of a patch begins; ``done`` of ``total`` are behind."""

    def checked(self, patch: Patch, result: Result, done: int, total: int) -> None:
        """It has its result."""


def declared(place: Place, name: str, base: str | None = None) -> Walked:
    """A series of the workspace, on its first base or another that it declares.

    Raises UserError for a name or a base that is not declared, DeclarationError or SeriesError for broken files.
    """
    catalogue = place.catalogue
    if name not in catalogue.series:
        raise UserError(f"there is no series {name!r}", hint=f"known: {', '.join(sorted(catalogue.series))}")
    own = catalogue.series[name]
    chosen = base or own.bases[0]
    for each in (*requirements(catalogue, name), name):
        if chosen not in catalogue.series[each].bases:
            raise UserError(
                f"the series {each} is not declared for base {chosen}",
                hint=f"kernel-patches/{each}/series.toml says bases = {list(catalogue.series[each].bases)}",
            )
    below = tuple(applied(catalogue, chosen, other) for other in requirements(catalogue, name))
    itself = applied(catalogue, chosen, name)
    letter = patch_files.cover_letter(catalogue.folder_of(name), chosen)
    quarantine = quarantine_of(catalogue, (name,))
    return Walked(name, chosen, itself.patches, below, itself.config, letter, own.check, quarantine)


def from_files(
    place: Place,
    paths: Sequence[Path],
    base: str,
    requires: Sequence[str] = (),
    *,
    name: str = "",
    quarantine: str = "",
) -> Walked:
    """Patch files, in this order, on a base with the series that they require.

    Raises UserError for a base or a series that is not declared, DeclarationError for a file that is no patch,
    SeriesError for one that leaves the tree.
    """
    catalogue = place.catalogue
    if base not in catalogue.bases:
        raise UserError(f"there is no base {base!r}", hint=f"known: {', '.join(sorted(catalogue.bases))}")
    for other in requires:
        if other not in catalogue.series:
            raise UserError(f"there is no series {other!r}", hint=f"known: {', '.join(sorted(catalogue.series))}")
    patches = patch_files.read_files(paths)
    if not patches:
        raise UserError("no patch was given: cover letters alone change nothing")
    order = dict.fromkeys(each for other in requires for each in (*requirements(catalogue, other), other))
    below = tuple(applied(catalogue, base, other) for other in order)
    return Walked(name or patches[0].path.parent.name or "patches", base, patches, below, quarantine=quarantine)


def walk(place: Place, series: Walked, wishes: Wishes, watcher: Watcher, only: Sequence[Check] = ALL) -> Report:
    """Look at every patch of a series; ``only`` chooses the checks.

    Raises InfraError (the host), UserError for what no patch is to blame for: an option that even the base cannot have.
    """
    base = source.fetch(
        series.base, place.catalogue.bases[series.base], place.cache, watcher.step, root=place.catalogue.root
    )
    chosen = tuple(check for check in Check if check in only and (check is not Check.OFF or series.rules.off))
    walker = _Walk(place, series, wishes, watcher, base, chosen)
    rows = tuple(walker.patch(patch) for patch in series.patches)
    letter = walker.cover() if Check.STYLE in chosen else None
    return Report(series, chosen, rows, letter, walker.idle() if set(only) >= set(ALL) else ())


@dataclass
class _Walk:
    """What the steps of one walk share. ``stack`` are the patches that applied."""

    place: Place
    series: Walked
    wishes: Wishes
    watcher: Watcher
    base: source.Source
    chosen: tuple[Check, ...]
    stack: tuple[Patch, ...] = ()
    done: int = 0
    used: set[Excuse] = field(default_factory=set)

    @property
    def total(self) -> int:
        return len(self.series.patches) * len(self.chosen)

    @property
    def bench(self) -> checks.Bench:
        ways = tuple(way for way in checks.Way if Check(way.value) in self.chosen)
        jobs = len(os.sched_getaffinity(0))
        return checks.Bench(self.base, self.place.cache, self.watcher.step, jobs, ways, self.series.rules.off)

    def patch(self, patch: Patch) -> Row:
        """All checks of one patch."""
        before = self.stack
        applies = self._apply(patch)
        fits = applies.outcome is Outcome.GOOD
        if fits:
            self.stack = (*before, patch)
        look = _Look(self, patch, before, self.stack)
        results: list[Result] = []
        for check in self.chosen:
            self.watcher.checking(patch, check, self.done, self.total)
            result = applies if check is Check.APPLY else look.at(check, fits)
            self.done += 1
            self.watcher.checked(patch, result, self.done, self.total)
            results.append(result)
        return Row(patch, tuple(results), self.stack)

    def _apply(self, patch: Patch) -> Result:
        all_of_them = [*(each for below in self.series.below for each in below.patches), *self.stack]
        repo = git.Repo(self.base.repo)
        patch_files.apply(repo, self.base.record.commit, all_of_them)  # what is required must apply: no patch's fault
        try:
            patch_files.apply(repo, self.base.record.commit, [*all_of_them, patch])
        except SeriesError as exc:
            return Result(Check.APPLY, Outcome.RED, exc.message)
        return Result(Check.APPLY, Outcome.GOOD)

    def cover(self) -> Result | None:
        """The cover letter held against the series as far as it applied; None when there is none."""
        letter = self.series.cover
        if letter is None:
            return None
        repo = git.Repo(self.base.repo)
        below = [patch for applied in self.series.below for patch in applied.patches]
        commits = [
            patch_files.apply(repo, self.base.record.commit, patches)[-1] if patches else self.base.record.commit
            for patches in (below, [*below, *self.stack])
        ]
        truth = cover.Truth(
            titles=tuple(patch.title for patch in self.series.patches),
            stat=git.diffstat(repo, *commits),
            base=self.base.record.commit,
            below=tuple(git.patch_id(repo, patch.diff) for patch in below),
        )
        found = cover.complaints(letter.read_text(errors="replace"), letter.name, truth)
        return self.judge(letter.name, Result(Check.STYLE, Outcome.GOOD, findings=found, log=str(letter)))

    def judge(self, patch: str, result: Result) -> Result:
        """A result with the series' excuses; red when a complaint is left."""
        findings = tuple(self._excuse(patch, finding) for finding in result.findings)
        judged = msgspec.structs.replace(result, findings=findings)
        if not judged.open:
            return judged
        return msgspec.structs.replace(judged, outcome=Outcome.RED, note=judged.open[0].shown)

    def _excuse(self, patch: str, finding: Finding) -> Finding:
        """The finding with the reason that the series declares for it, if it does."""
        for excuse in self.series.rules.excuses:
            fits = excuse.kind == finding.kind and fnmatch.fnmatchcase(patch, excuse.patch)
            if fits and fnmatch.fnmatchcase(finding.file, excuse.file):
                self.used.add(excuse)
                return msgspec.structs.replace(finding, excused=excuse.reason)
        return finding

    def idle(self) -> tuple[str, ...]:
        """Excuses that nothing needed: the complaint is gone, or was never there."""
        unused = (excuse for excuse in self.series.rules.excuses if excuse not in self.used)
        return tuple(f"{excuse.kind} (patch {excuse.patch}, file {excuse.file})" for excuse in unused)


@dataclass
class _Look:
    """One patch between the state before it and the state after it."""

    walk: _Walk
    patch: Patch
    before: tuple[Patch, ...]
    after: tuple[Patch, ...]
    kernel: Kernel | None = None

    def at(self, check: Check, fits: bool) -> Result:
        """The result of a check; ``fits``: the patch applies."""
        if check is Check.STYLE:
            return self._style()
        if not fits:
            return Result(check, Outcome.NOT_DONE, "it does not apply")
        if check is Check.BUILD:
            return self._build()
        if check is Check.BOOT:
            return self._boot()
        return self._delta(check, checks.Way(check.value))

    def _request(self, stack: tuple[Patch, ...]) -> KernelRequest:
        return self.walk.series.request(self.walk.place.catalogue, stack, self.walk.wishes.config)

    def _style(self) -> Result:
        def look(log: Path) -> Result:
            found, said = checkpatch.run(self.patch, self.walk.base, self.walk.place.cache)
            log.write_text(said)
            return Result(Check.STYLE, Outcome.GOOD, findings=(*found, *subject.complaints(self.patch)))

        return self.walk.judge(
            self.patch.path.name, self._kept(digest("style 3", self.walk.base.record.tree, self.patch.data), look)
        )

    def _delta(self, check: Check, way: checks.Way) -> Result:
        before, after = self._request(self.before), self._request(self.after)
        bench = self.walk.bench
        files = bench.sources(self.patch, self.walk.series.patches, after)
        if not files:
            return Result(check, Outcome.GOOD, "it touches no source that is compiled")

        def look(log: Path) -> Result:
            delta = bench.delta(way, before, after, files)
            shutil.copyfile(delta.log, log)
            note = f"not in this configuration: {', '.join(delta.not_built)}" if delta.not_built else ""
            return Result(check, Outcome.GOOD, note, delta.new)

        try:
            return self.walk.judge(
                self.patch.path.name, self._kept(digest("delta", bench.delta_key(way, before, after, files)), look)
            )
        except BuildError as exc:  # not even make and Kconfig work there
            return Result(check, Outcome.RED, exc.first_error or exc.message, log=str(exc.log or ""))

    def _build(self) -> Result:
        started = time.monotonic()
        request, cache = self._request(self.after), self.walk.place.cache
        try:
            red = digest("red build 1", key_of(request, cache))
            if known := cache.get(CHECKS, red):
                return _read(known)
            self.kernel = build(request, cache, self.walk.watcher.step)
        except BuildError as exc:
            result = Result(Check.BUILD, Outcome.RED, exc.first_error or exc.message, log=str(exc.log or ""))
            return self._kept_red(red, result, time.monotonic() - started)
        except DeclarationError:
            raise
        except UserError as exc:  # an option that the series brings does not come out
            return Result(Check.BUILD, Outcome.RED, exc.message)
        seconds = 0.0 if self.kernel.cached else time.monotonic() - started
        return Result(Check.BUILD, Outcome.GOOD, log=str(self.kernel.log), seconds=seconds)

    def _kept_red(self, key: str, result: Result, seconds: float) -> Result:
        """A build that failed, kept if it is the source that is wrong: a compiler that was killed may do better."""
        if not SOURCE_IS_WRONG.search(result.note) or not result.log:
            return result

        def make(entry: Path) -> None:
            shutil.copyfile(result.log, entry / "log")
            _write(entry, msgspec.structs.replace(result, seconds=round(seconds, 1)))

        return _read(self.walk.place.cache.make(CHECKS, key, make))

    def _boot(self) -> Result:
        if self.kernel is None and self._build().outcome is not Outcome.GOOD:
            return Result(Check.BOOT, Outcome.NOT_DONE, "there is no kernel")
        assert self.kernel is not None
        walk = self.walk
        with tempfile.TemporaryDirectory(prefix="lab-probe.") as scratch:
            ready = guest(walk.place, self.kernel, walk.series.base, walk.wishes, Path(scratch))

        def look(log: Path) -> Result:
            walk.watcher.step(Step("boot", note=ready.ready.kernel.label))
            why = ready.boot(log)
            return Result(Check.BOOT, Outcome.RED if why else Outcome.GOOD, why)

        return self._kept(ready.key, look)

    def _kept(self, key: str, look: Callable[[Path], Result]) -> Result:
        """The result of an earlier walk, or that of ``look(log)``, kept."""

        def make(entry: Path) -> None:
            started = time.monotonic()
            result = look(entry / "log")
            _write(entry, msgspec.structs.replace(result, seconds=round(time.monotonic() - started, 1)))

        return _read(self.walk.place.cache.make(CHECKS, digest("check 1", key), make))


def _write(entry: Path, result: Result) -> None:
    (entry / "result.json").write_bytes(msgspec.json.encode(result))


def _read(entry: Path) -> Result:
    """A result of an earlier walk, with its log."""
    result = msgspec.json.decode((entry / "result.json").read_bytes(), type=Result)
    return msgspec.structs.replace(result, log=str(entry / "log"))
