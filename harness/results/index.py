"""Runs that were: list them, read one, judge one again.

for entry in entries(workspace.runs): entry.name, entry.state, entry.result
entry = find(workspace.runs, "last")                # or a name, the beginning or a part of one, or a path
again = rejudge(entry); again.changes, again.result
"""

from __future__ import annotations

import fcntl
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.catalogue.load import nearest
from harness.errors import InfraError, UserError
from harness.results import files
from harness.results.model import VERSION, CaseResult, Manifest, RunResult, RunStatus
from harness.results.run import CONSOLE, KTAP, LOCK, MANIFEST, OUTCOME, RECORD, RESULT, phase_file
from harness.verdict.judge import RECORD_VERSION, CaseRecord, Outcome, judge, meets

T = TypeVar("T")


class State(StrEnum):
    """What a run folder is worth, for people."""

    GREEN = "as expected"
    RED = "unexpected"
    RUNNING = "running"
    KILLED = "killed"
    NO_RESULT = "killed (no result)"
    FAILED = "failed"
    UNREADABLE = "unreadable"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One run folder. ``manifest`` and ``result`` are None when they are not there or cannot be read (``why``)."""

    path: Path
    state: State
    manifest: Manifest | None = None
    result: RunResult | None = None
    why: str = ""

    @property
    def name(self) -> str:
        return self.path.name


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A case whose saved record is judged differently now."""

    state: str
    case: str
    before: Outcome
    after: Outcome


class Rejudged(msgspec.Struct, frozen=True, kw_only=True):
    """A run judged again. ``result`` is what result.json would say today; nothing on disk is touched."""

    result: RunResult
    changes: tuple[Change, ...]


def _read(path: Path, kind: type[T]) -> T:
    """Raises InfraError that names the file when it is not there, not JSON, or of a newer lab."""
    data = files.read_text(path)
    if not data and not path.exists():
        raise InfraError(f"{path} is missing")
    newest = RECORD_VERSION if kind is CaseRecord else VERSION
    try:
        version = msgspec.json.decode(data, type=dict[str, object]).get("version")
        if isinstance(version, int) and version > newest:
            raise InfraError(
                f"{path} is of version {version}; this lab knows {newest}", hint="use the lab that wrote it"
            )
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as exc:
        raise InfraError(f"{path}: {exc}") from exc


def _alive(path: Path) -> bool:
    """Whether the lab that made this folder still holds its lock."""
    try:
        with (path / LOCK).open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def entry(path: Path) -> Entry:
    """What is known of one run folder; never raises for what is in it."""
    try:
        manifest = _read(path / MANIFEST, Manifest)
        result = _read(path / RESULT, RunResult) if (path / RESULT).exists() else None
    except InfraError as exc:
        return Entry(path=path, state=State.UNREADABLE, why=exc.message)
    if result is None:
        return Entry(path=path, state=State.RUNNING if _alive(path) else State.NO_RESULT, manifest=manifest)
    return Entry(path=path, state=_state(result), manifest=manifest, result=result, why=result.error)


def _state(result: RunResult) -> State:
    if result.status is RunStatus.KILLED:
        return State.KILLED
    if result.status is RunStatus.FAILED:
        return State.FAILED
    return State.GREEN if result.as_expected else State.RED


def entries(runs: Path) -> tuple[Entry, ...]:
    """All runs, newest first. Folders without a manifest are no runs."""
    return tuple(entry(path) for path in folders(runs))


def folders(runs: Path) -> list[Path]:
    """The folders of all runs, newest first; what is in them is not read."""
    if not runs.is_dir():
        return []
    return sorted((path for path in runs.iterdir() if (path / MANIFEST).is_file()), key=_age, reverse=True)


def _age(path: Path) -> tuple[int, str]:
    """Runs of the same second by the time of their manifest: ``-10`` is younger than ``-2``."""
    return (path / MANIFEST).stat().st_mtime_ns, path.name


def find(runs: Path, name: str) -> Entry:
    """The run a person means: ``last``, its name, a unique part of it, or its path.

    Raises UserError when there is none or more than one.
    """
    path = Path(name)
    if (path / MANIFEST).is_file():
        return entry(path.resolve())
    names = [found.name for found in folders(runs)]
    if name == "last" and names:
        return entry(runs / names[0])
    matching = [name] if name in names else [found for found in names if name in found]
    if len(matching) == 1:
        return entry(runs / matching[0])
    if matching:
        raise UserError(f"{name!r} is {len(matching)} runs: {', '.join(matching[:5])}", hint="say more of the name")
    near = nearest(name, names)
    hint = f"did you mean {near}?" if near else "`lab results` lists them" if names else "nothing was run yet"
    raise UserError(f"there is no run {name!r}", hint=hint)


def outcome(folder: Path) -> CaseResult:
    """What became of one case, from its folder. Raises InfraError for what is missing or cannot be read."""
    return _read(folder / OUTCOME, CaseResult)


def load_case(folder: Path) -> tuple[CaseRecord, CaseResult]:
    """What was saved of one case.

    Raises InfraError for what is missing or cannot be read.
    """
    record = _read(folder / RECORD, CaseRecord)
    before = tuple(_with_texts(folder, part, last=False) for part in record.before)
    record = msgspec.structs.replace(_with_texts(folder, record, last=True), before=before)
    return record, _read(folder / OUTCOME, CaseResult)


def _with_texts(folder: Path, part: CaseRecord, *, last: bool) -> CaseRecord:
    ktap, console = (files.read_text(folder / phase_file(name, part, last)) for name in (KTAP, CONSOLE))
    return msgspec.structs.replace(part, ktap=ktap, console=console)


def case_folders(run: Path) -> tuple[Path, ...]:
    """Every case kept in a run, also in one without a result."""
    return tuple(
        sorted(path.parent for path in run.glob(f"cases/*/*/{OUTCOME}") if not path.parent.name.startswith("."))
    )


def rejudge(found: Entry) -> Rejudged:
    """Judge a run again from its saved records, against the expectations of that time.

    Raises InfraError when a record is missing or cannot be read, UserError when nothing was kept.
    """
    folders = case_folders(found.path)
    if not folders:
        raise UserError(f"{found.name} kept no case to judge")
    cases, changes = [], []
    for folder in folders:
        record, before = load_case(folder)
        after = _judged_again(record, before)
        cases.append(after)
        if after.outcome != before.outcome:
            changes.append(Change(state=before.state, case=before.case, before=before.outcome, after=after.outcome))
    return Rejudged(result=_result(found, cases), changes=tuple(changes))


def _judged_again(record: CaseRecord, before: CaseResult) -> CaseResult:
    outcome = judge(record)
    met = None if before.expected is None else meets(before.expected, outcome)
    return msgspec.structs.replace(before, outcome=outcome, met=met)


def _result(found: Entry, cases: list[CaseResult]) -> RunResult:
    manifest = found.manifest
    if manifest is not None:
        pairs = [(state, case) for state in manifest.states for case in manifest.cases]
        order = {pair: place for place, pair in enumerate(pairs)}
        cases.sort(key=lambda case: order.get((case.state, case.case), len(order)))
    if found.result is not None:
        return msgspec.structs.replace(found.result, cases=tuple(cases))
    created = manifest.created if manifest else ""
    return RunResult(
        status=RunStatus.KILLED, scenario=manifest.scenario if manifest else "", started=created, finished="",
        duration=0.0, cases=tuple(cases),
        planned=len(manifest.states) * len(manifest.cases) if manifest else len(cases),
    )  # fmt: skip
