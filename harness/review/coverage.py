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
from harness.kernel.build import Kernel, build
from harness.kernel.request import PROFILING, KernelRequest
from harness.plan import Job
from harness.progress import Step
from harness.results import files
from harness.results.run import now, stamp
from harness.review import origins, recall
from harness.review.desk import Desk
from harness.review.model import Added, Coverage
from harness.runner import counters
from harness.runner.prepare import Ready, Wishes, kernel_request
from harness.runner.run import Watcher

BEGIN, END = "gcov begin ", "gcov end"
EVERYBODY = "every program"
KNOWN = "covered"
"""The cache's folder of what counters said."""


class _Line(msgspec.Struct):
    line_number: int
    count: int
    function_name: str = ""


class _File(msgspec.Struct):
    file: str
    lines: list[_Line]


class _Gcov(msgspec.Struct):
    files: list[_File]


class _Ran(msgspec.Struct, frozen=True):
    """How often a case (""; a program that does nothing) ran each added line: file, line, count, function."""

    case: str
    lines: tuple[tuple[str, int, int, str], ...]


class _Counted(msgspec.Struct, frozen=True):
    """What the counters of a job's cases said, and when."""

    when: str
    ran: tuple[_Ran, ...]


def measure(desk: Desk, jobs: Sequence[Job], wishes: Wishes, watcher: Watcher, *, fresh: bool = False) -> Coverage:
    """Run the jobs' cases on a tip that counts, unless an earlier review did. Raises UserError, InfraError."""
    started = time.monotonic()
    profiled = tuple(name for name in origins.files(desk) if name.endswith(".c"))
    if not profiled:
        return Coverage(not_measured=(("the series", "touches no C file"),))
    counting = _Counting(
        desk, wishes, watcher, {name: origins.lines(desk, name) for name in origins.files(desk)}, fresh
    )
    not_built: set[str] = set()
    for job in jobs:
        try:
            kernel = build(_request(desk, job, profiled, wishes), desk.place.cache, watcher.step)
        except BuildError as exc:
            return Coverage(not_measured=(("the series", f"a kernel that counts does not compile: {exc.first_error}"),))
        not_built |= {name for name in profiled if not (kernel.notes / _notes(name)).exists()}
        if kernel.notes.is_dir():
            counting.add(job, kernel)
    reasons = [(name, "not in this configuration") for name in sorted(not_built)]
    counted = {name for name, _ in counting.tally.ran}  # functions of a header count in the files that have it
    others = (name for name in origins.files(desk) if name not in profiled and name not in counted)
    reasons += [(name, "no C file of the kernel") for name in others]
    return Coverage(
        lines=tuple(counting.added()),
        not_measured=tuple(reasons),
        since=counting.since,
        seconds=round(time.monotonic() - started, 1),
    )


@dataclass
class _Counting:
    """What the jobs of one measurement share. ``lines`` are those that the series brought."""

    desk: Desk
    wishes: Wishes
    watcher: Watcher
    lines: Mapping[str, Mapping[int, origins.Origin]]
    fresh: bool
    tally: _Tally = field(default_factory=lambda: _Tally())
    whens: set[str] = field(default_factory=set)  # "" for what was counted just now

    @property
    def since(self) -> str:
        return "" if "" in self.whens else max(self.whens, default="")

    def add(self, job: Job, kernel: Kernel) -> None:
        place = self.desk.place
        packed = counters.guest(place, job, kernel, self.wishes)
        keys = (recall.verdict_key(place, job, kernel, packed, case) for case in job.cases)
        note = place.cache.root / KNOWN / digest("coverage 1", *keys)
        known = None if self.fresh else _known(note)
        counted = known or _Counted(stamp(now()), tuple(self._run(packed, job, kernel)))
        if not known and counted.ran:
            with files.told(note):
                note.parent.mkdir(parents=True, exist_ok=True)
            files.write(note, msgspec.json.encode(counted))
        self.whens.add(counted.when if known else "")
        for ran in counted.ran:
            self.tally.add(f"{job.scenario.name}/{ran.case}" if ran.case else "", ran.lines)

    def _run(self, packed: Ready, job: Job, kernel: Kernel) -> Iterator[_Ran]:
        for case, output in counters.run(packed, self.desk.place, job, self.wishes, self.watcher):
            self.watcher.step(Step("coverage", note=case))
            ours = (line for line in _counted(kernel, output) if line[1] in self.lines.get(line[0], ()))
            yield _Ran(case, tuple(ours))

    def added(self) -> Iterator[Added]:
        """The executable lines that the series brought, each with its patch."""
        for name, brought in self.lines.items():
            for line, origin in sorted(brought.items()):
                if (name, line) in self.tally.ran:
                    yield Added(
                        file=name,
                        line=line,
                        patch=self.desk.numbers[origin.patch - 1],
                        at=origin.at,
                        text=origin.text,
                        function=self.tally.functions[name, line],
                        cases=tuple(self.tally.ran[name, line]),
                    )


def _known(note: Path) -> _Counted | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=_Counted)
    except (OSError, msgspec.MsgspecError):
        return None


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
