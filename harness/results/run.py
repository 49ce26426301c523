"""One run folder, from before the first boot to the verdict.

    with RunFolder.create(workspace.runs, "ext4-unlinked") as run:
        run.write_manifest(manifest, diff=facts.git_diff(root))      # before the first boot
        run.keep_config("with", kernel.config)
        result = run.add(record, judge(record), expectation, disk=disk)   # after each case, from any thread
        final = run.finish()                                          # result.json: last, atomically
    text.render(final, where=run.shown)

    results/runs/20261122T151733Z-ext4-unlinked/
        manifest.json  result.json  reproduce.sh  workspace.diff  kernels/<state>.config
        cases/<state>/<case>/{ktap.log, console.log, record.json, outcome.json[, disk.img, guest.*]}

A case's folder appears whole or not at all. Leaving the context by an exception writes result.json too: ``killed`` for
KeyboardInterrupt (SIGTERM becomes one through ``terminable``), ``failed`` for the rest. A lab that was killed outright
leaves a manifest alone; while a lab is alive it holds a lock on ``.lock``, so that a reader can tell the two apart.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import itertools
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from urllib.parse import quote

import msgspec

from harness.catalogue.model import Expectation
from harness.errors import LabError
from harness.results import files, reproduce
from harness.results.model import DISK, CaseResult, Manifest, RunResult, RunStatus
from harness.verdict.judge import CaseRecord, Outcome, meets

MANIFEST, RESULT, LOCK = "manifest.json", "result.json", ".lock"
RECORD, OUTCOME, KTAP, CONSOLE = "record.json", "outcome.json", "ktap.log", "console.log"


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: the user stopped the run by other means than Ctrl-C."""


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise Terminated, so that contexts are left and a result is written. Main thread only."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, _terminate) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def stamp(moment: datetime.datetime) -> str:
    """2026-11-22T15:17:33Z"""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def to_json(value: object) -> bytes:
    """Indented JSON with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def safe(name: str) -> str:
    """A name as one component of a path: what could leave the folder or hide in it is percent-encoded."""
    quoted = quote(name, safe="+@,=")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted or "%"


class RunFolder:
    """A folder below results/runs while its run goes on. ``add`` may be called from several threads."""

    def __init__(self, path: Path, scenario: str) -> None:
        self.path = path
        self.scenario = scenario
        self.result: RunResult | None = None
        self._created = now()
        self._began = time.monotonic()
        self._planned = 0
        self._order: dict[tuple[str, str], int] = {}
        self._cases: list[CaseResult] = []
        self._guard = threading.Lock()
        with files.told(path):
            self._lock = (path / LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @classmethod
    def create(cls, runs: Path, scenario: str) -> RunFolder:
        """A new folder ``<utc>-<scenario>[-n]``, made by this call and nobody else's.

        Raises InfraError when the host cannot.
        """
        base = f"{now().strftime('%Y%m%dT%H%M%SZ')}-{safe(scenario)}"
        with files.told(runs):
            runs.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                path = runs / (base if number == 1 else f"{base}-{number}")
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    break
        return cls(path, scenario)

    @property
    def shown(self) -> str:
        """The folder as people are told it: ``results/runs/<name>`` below a workspace."""
        return "/".join(self.path.parts[-3:])

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and self.result is None:
                killed = isinstance(error, KeyboardInterrupt)
                text = type(error).__name__ + (f": {error}" if str(error) else "")
                # The first error is the one to hear about, not that its record could not be written either.
                with contextlib.suppress(LabError):
                    self.finish(RunStatus.KILLED if killed else RunStatus.FAILED, error="" if killed else text)
        finally:
            self._lock.close()

    def write_manifest(self, manifest: Manifest, *, diff: str = "") -> None:
        """manifest.json, reproduce.sh and (when the workspace differs from its commit) workspace.diff."""
        pairs = itertools.product(manifest.states, manifest.cases)
        self._order = {pair: index for index, pair in enumerate(pairs)}
        self._planned = len(self._order)
        files.write(self.path / MANIFEST, to_json(manifest), durable=True)
        files.write(self.path / "reproduce.sh", files.encode(reproduce.script(manifest)))
        with files.told(self.path):
            (self.path / "reproduce.sh").chmod(0o755)
        if diff:
            files.write(self.path / "workspace.diff", files.encode(diff))

    def keep_config(self, state: str, config: Path) -> None:
        """A copy of the configuration a state's kernel was built with."""
        folder = self.path / "kernels"
        with files.told(folder):
            folder.mkdir(exist_ok=True)
            files.write(folder / f"{safe(state)}.config", config.read_bytes())

    def add(
        self,
        record: CaseRecord,
        outcome: Outcome,
        expected: Expectation | None = None,
        disk: Path | None = None,
        recording: Sequence[Path] = (),
    ) -> CaseResult:
        """Keep one case. ``disk`` (its filesystem's image) is moved here when the expectation is not met,
        and so are the files of its ``recording``, in any case.

        Raises InfraError when the host cannot; then nothing of the case is kept.
        """
        relative = Path("cases") / safe(record.state or "-") / safe(record.case)
        met = None if expected is None else meets(expected, outcome)
        kept = {path.name: path for path in recording}
        if met is False and disk is not None and disk.exists():
            kept[DISK] = disk
        result = CaseResult(
            case=record.case, state=record.state, outcome=outcome, expected=expected, met=met, folder=str(relative),
            kept=tuple(sorted(kept)),
        )  # fmt: skip
        self._store(self.path / relative, record, result, kept)
        with self._guard:
            self._cases.append(result)
        return result

    def _store(self, folder: Path, record: CaseRecord, result: CaseResult, kept: Mapping[str, Path]) -> None:
        scratch = folder.with_name(f".{folder.name}.tmp")
        with files.told(folder):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            try:
                save(scratch, record, result)
                for name, path in kept.items():
                    files.move_sparse(path, scratch / name)
                scratch.rename(folder)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise

    def finish(self, status: RunStatus = RunStatus.DONE, error: str = "") -> RunResult:
        """result.json from all that was added, in the order of the plan. The run is over."""
        with self._guard:
            last = len(self._order)
            cases = sorted(self._cases, key=lambda case: self._order.get((case.state, case.case), last))
        result = RunResult(
            status=status,
            scenario=self.scenario,
            started=stamp(self._created),
            finished=stamp(now()),
            duration=round(time.monotonic() - self._began, 3),
            planned=max(self._planned, len(cases)),
            cases=tuple(cases),
            error=error,
        )
        files.write(self.path / RESULT, to_json(result), durable=True)
        self.result = result
        return result


def save(folder: Path, record: CaseRecord, result: CaseResult) -> None:
    """The files of one case. Texts stand in their own files, everything else in record.json."""
    for part in (*record.before, record):
        last = part is record
        files.write(folder / phase_file(KTAP, part, last), files.encode(part.ktap))
        files.write(folder / phase_file(CONSOLE, part, last), files.encode(part.console))
    before = tuple(_bare(part) for part in record.before)
    files.write(folder / RECORD, to_json(msgspec.structs.replace(_bare(record), before=before)))
    files.write(folder / OUTCOME, to_json(result))


def phase_file(name: str, part: CaseRecord, last: bool) -> str:
    """Where a text of a phase stands: that of the last one has the plain name."""
    return name if last else f"phase-{part.phase.replace(' ', '-')}.{name}"


def _bare(record: CaseRecord) -> CaseRecord:
    return msgspec.structs.replace(record, ktap="", console="")
