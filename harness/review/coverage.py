"""Which of the lines that a series adds were run, and by which case.

The tip is built once more with counters in the files that the series touches, and in those alone. Every case runs in a
guest of its own on that kernel; before it the counters are set to zero, after it they are read through debugfs by a
program of the guest (testcases/tools/gcov.c) and counted here by gcov, with the notes that the compiler left.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness import process
from harness.cache import digest
from harness.errors import BuildError, InfraError
from harness.kernel import git, series, source
from harness.kernel.build import Kernel, build
from harness.kernel.checks import touched
from harness.kernel.request import PROFILING, KernelRequest, applied
from harness.plan import Job
from harness.progress import Step
from harness.review.desk import Desk
from harness.review.model import Added, Coverage
from harness.runner import counters
from harness.runner.prepare import Wishes, kernel_request
from harness.runner.run import Watcher

BEGIN, END = "gcov begin ", "gcov end"
EVERYBODY = "every program"


class _Line(msgspec.Struct):
    line_number: int
    count: int
    function_name: str = ""


class _File(msgspec.Struct):
    file: str
    lines: list[_Line]


class _Gcov(msgspec.Struct):
    files: list[_File]


def measure(desk: Desk, jobs: Sequence[Job], wishes: Wishes, watcher: Watcher) -> Coverage:
    """Run the jobs' cases on a tip that counts. Raises UserError, InfraError."""
    started = time.monotonic()
    profiled = tuple(name for name in _touched(desk) if name.endswith(".c"))
    if not profiled:
        return Coverage(not_measured=(("the series", "touches no C file"),))
    tally = _Tally()
    not_built: set[str] = set()
    for job in jobs:
        try:
            kernel = build(_request(desk, job, profiled, wishes), desk.place.cache, watcher.step)
        except BuildError as exc:
            return Coverage(not_measured=(("the series", f"a kernel that counts does not compile: {exc.first_error}"),))
        not_built |= {name for name in profiled if not (kernel.notes / _notes(name)).exists()}
        if not kernel.notes.is_dir():
            continue
        for case, output in counters.run(desk.place, job, kernel, wishes, watcher):
            watcher.step(Step("coverage", note=case))
            tally.add(f"{job.scenario.name}/{case}" if case else "", _counted(kernel, output))
    reasons = [(name, "not in this configuration") for name in sorted(not_built)]
    reasons += [(name, "no C file of the kernel") for name in _touched(desk) if name not in profiled]
    return Coverage(
        lines=tuple(_added(desk, tally)), not_measured=tuple(reasons), seconds=round(time.monotonic() - started, 1)
    )


@dataclass
class _Tally:
    """Which case ran which line. What a program that does nothing runs as often is nobody's work."""

    ran: dict[tuple[str, int], dict[str, None]] = field(default_factory=dict)
    functions: dict[tuple[str, int], str] = field(default_factory=dict)
    idle: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, case: str, lines: Iterable[tuple[str, int, int, str]]) -> None:
        counts: dict[tuple[str, int], int] = {}
        for name, line, count, function in lines:
            self.functions[name, line] = function
            counts[name, line] = counts.get((name, line), 0) + count
        if not case:
            self.idle = counts
        for place, count in counts.items():
            cases = self.ran.setdefault(place, {})
            if case and count > self.idle.get(place, 0):
                cases[case] = None
            elif not case and count:
                cases[EVERYBODY] = None


def _touched(desk: Desk) -> list[str]:
    return sorted({name for patch in desk.patches for name in touched(patch)})


def _notes(name: str) -> str:
    return name.removesuffix(".c") + ".gcno"


def _request(desk: Desk, job: Job, profiled: tuple[str, ...], wishes: Wishes) -> KernelRequest:
    more = replace(wishes, config=(*wishes.config, PROFILING))
    return replace(kernel_request(desk.place, job, job.states[-1], more), profiled=profiled)


def _counted(kernel: Kernel, output: str) -> Iterator[tuple[str, int, int, str]]:
    """File, line, count and function of each executable line, from what a guest printed."""
    with tempfile.TemporaryDirectory(prefix="lab-gcov.") as scratch:
        folder = Path(scratch)
        data = list(_unpack(output, folder, kernel.notes))
        if not data:
            return
        sandbox = process.Sandbox(writable=(folder,))
        argv = ["gcov", "--json-format", *(os.fspath(path) for path in data)]
        done = process.run(argv, cwd=folder, sandbox=sandbox, check=False)
        found = sorted(folder.glob("*.gcov.json.gz"))
        if not found:
            raise InfraError(f"gcov made nothing of {len(data)} files: {done.stderr or done.stdout}")
        for path in found:
            report = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=_Gcov)
            for file in report.files:
                for line in file.lines:
                    yield _from_top(file.file), line.line_number, line.count, line.function_name


def _unpack(output: str, folder: Path, notes: Path) -> Iterator[Path]:
    """The counters' files beside their notes, each in a folder of its own: gcov wants equal names."""
    name = ""
    parts: list[str] = []
    for line in output.splitlines():
        if line.startswith(BEGIN):
            name, parts = _object(line.removeprefix(BEGIN)), []
        elif line == END:
            own = notes / f"{name}.gcno"
            if name and own.is_file():
                flat = folder / digest(name)
                flat.with_suffix(".gcno").write_bytes(own.read_bytes())
                flat.with_suffix(".gcda").write_bytes(_decoded(parts))
                yield flat.with_suffix(".gcda")
            name = ""
        elif name:
            parts.append(line)


def _object(path: str) -> str:
    """``/x/trees/y/linux/build/fs/namei.gcda`` is ``fs/namei``; "" for what could leave the folder."""
    inner = path.rpartition("/build/")[2].removesuffix(".gcda")
    return "" if ".." in inner.split("/") or inner.startswith("/") else inner


def _decoded(parts: Iterable[str]) -> bytes:
    try:
        return base64.b64decode("".join(parts), validate=True)
    except binascii.Error:
        return b""


def _from_top(name: str) -> str:
    """The compiler sees the source from ``build/``: ``../fs/namei.c``."""
    return name.removeprefix("../").removeprefix("./")


@dataclass(frozen=True)
class _Origin:
    """Where a line came from: the patch, and its line in the file as that patch left it."""

    patch: int
    at: int
    text: str


def _added(desk: Desk, tally: _Tally) -> Iterator[Added]:
    """The executable lines that the series brought, each with its patch."""
    for name in _touched(desk):
        origins = _origins(desk, name)
        for line, origin in sorted(origins.items()):
            if (name, line) in tally.ran:
                yield Added(
                    file=name,
                    line=line,
                    patch=desk.numbers[origin.patch - 1],
                    at=origin.at,
                    text=origin.text,
                    function=tally.functions[name, line],
                    cases=tuple(tally.ran[name, line]),
                )


def _origins(desk: Desk, name: str) -> dict[int, _Origin]:
    """The lines of a file at the tip that a patch of the series brought, by git's own account of it."""
    candidate = desk.chosen.candidate
    catalogue = desk.place.catalogue
    base = source.fetch(candidate.base, catalogue.bases[candidate.base], desk.place.cache, root=catalogue.root)
    repo = git.Repo(base.repo)
    below = [patch for other in candidate.requires for patch in applied(catalogue, candidate.base, other).patches]
    commits = series.apply(repo, base.record.commit, [*below, *desk.patches])[len(below) :]
    since = series.apply(repo, base.record.commit, below)[-1] if below else base.record.commit
    said = repo.run("blame", "--line-porcelain", f"{since}..{commits[-1]}", "--", name, check=False)
    return dict(_blamed(said.stdout, {commit: number for number, commit in enumerate(commits, 1)}))


def _blamed(text: str, commits: Mapping[str, int]) -> Iterator[tuple[int, _Origin]]:
    number, line, at = 0, 0, 0
    for row in text.splitlines():
        if row.startswith("\t"):
            if number:
                yield line, _Origin(number, at, row[1:])
            continue
        words = row.split()
        if len(words) >= 3 and len(words[0]) == 40 and words[1].isdigit():
            number, at, line = commits.get(words[0], 0), int(words[1]), int(words[2])
