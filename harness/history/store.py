"""Runs into the database, each whole in one transaction.

    with History.of(workspace) as history:
        history.note(index.entry(folder))       # again is the same: a run is stored by its name

The database is an index of the run folders, so it lies beside them, in the workspace's results/: what it says can be
made again from them (``import_runs``), it goes where they go, and `lab cache prune` cannot take it away.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import InfraError, LabError
from harness.history.schema import connect
from harness.paths import Workspace
from harness.results import index, model
from harness.results.text import wanted

log = logging.getLogger(__name__)

NAME = "history.db"
TOLD = 2000
"""Characters of a case's message that are kept: its folder has the whole."""


class History:
    """The database, open. A context manager; may be used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = connect(path)

    @classmethod
    def of(cls, workspace: Workspace) -> History:
        """The workspace's own: ``results/history.db``.

        Raises InfraError when it cannot be used.
        """
        return cls(workspace.runs.parent / NAME)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.db.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; nobody else writes meanwhile.

        Raises InfraError for a full disk or a file that is not to be written.
        """
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")
        except sqlite3.Error as exc:
            raise InfraError(f"cannot write {self.path}: {exc}") from exc

    def note(self, entry: index.Entry) -> bool:
        """Store a run folder; whether there was something to store: a run without a result is none yet."""
        if entry.manifest is None or entry.result is None:
            return False
        with self.writing() as db:
            db.execute("DELETE FROM run WHERE name = ?", (entry.name,))
            _store(db, entry, entry.manifest, entry.result)
        return True

    def names(self) -> set[str]:
        """The runs that are stored."""
        return {row["name"] for row in self.db.execute("SELECT name FROM run")}

    def note_nightly(self, values: dict[str, object]) -> None:
        """Store a nightly by its name: the columns of the table."""
        with self.writing() as db:
            db.execute("DELETE FROM nightly WHERE name = ?", (values["name"],))
            _insert(db, "nightly", values)

    def note_bisect(self, values: dict[str, object]) -> None:
        """Store what a bisect found: the columns of the table."""
        with self.writing() as db:
            _insert(db, "bisect", values)


def remember(workspace: Workspace, folder: Path) -> None:
    """Store one run at its end. A memory that fails costs the run nothing: it is said, and an import repairs it."""
    try:
        with History.of(workspace) as history:
            history.note(index.entry(folder))
    except LabError as exc:
        log.warning("this run is not in the history: %s (`lab history import` adds it)", exc.message)


def import_runs(
    history: History, runs: Path, *, again: bool = False, told: Callable[[int, int], None] = lambda _done, _of: None
) -> tuple[int, list[index.Entry]]:
    """Store the run folders that are not stored yet, the oldest first; ``again`` stores all of them anew.

    Returns how many were, and those that have no result or cannot be read.
    """
    known = set() if again else history.names()
    found = [path for path in reversed(index.folders(runs)) if path.name not in known]
    left: list[index.Entry] = []
    for done, path in enumerate(found, 1):
        entry = index.entry(path)
        if not history.note(entry):
            left.append(entry)
        told(done, len(found))
    return len(found) - len(left), left


def _insert(db: sqlite3.Connection, table: str, values: dict[str, object]) -> int:
    marks = ", ".join("?" * len(values))
    done = db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
    return int(done.lastrowid or 0)


def _once(db: sqlite3.Connection, table: str, values: dict[str, object]) -> int:
    """The row with these values, made when it is not there."""
    same = " AND ".join(f"{name} = ?" for name in values)
    row = db.execute(f"SELECT id FROM {table} WHERE {same}", tuple(values.values())).fetchone()
    return int(row["id"]) if row else _insert(db, table, values)


def _store(db: sqlite3.Connection, entry: index.Entry, manifest: model.Manifest, result: model.RunResult) -> None:
    run = _insert(
        db,
        "run",
        {
            "name": entry.name,
            "folder": str(entry.path),
            "scenario": result.scenario,
            "status": result.status.value,
            "as_expected": result.as_expected,
            "error": result.error,
            "started": result.started,
            "finished": result.finished,
            "duration": result.duration,
            "planned": result.planned,
            "argv": " ".join(manifest.argv),
            "guests": manifest.options.get("guests", ""),
            "commit_id": manifest.workspace.commit if manifest.workspace else "",
            "changed": bool(manifest.workspace and manifest.workspace.changed),
            "nightly": manifest.options.get("nightly", ""),
            "job": manifest.options.get("job", ""),
            "attempt": int(manifest.options.get("attempt") or 0),
            "environment_id": _once(db, "environment", _environment(manifest)),
        },
    )
    lanes = _lanes(db, manifest)
    for case in result.cases:
        _store_case(db, run, case, *lanes[case.state])


def _environment(manifest: model.Manifest) -> dict[str, object]:
    tools, accel = manifest.tools, manifest.accel
    return {
        "accel": accel.name if accel else "",
        "accel_reason": accel.reason if accel else "",
        "qemu": tools.qemu,
        "compiler": tools.compiler,
        "host": tools.host,
        "host_kernel": tools.host_kernel,
        "python": tools.python,
        "lab": tools.lab,
        "sandboxed": bool(manifest.sandbox and manifest.sandbox.used),
    }


def _lanes(db: sqlite3.Connection, manifest: model.Manifest) -> dict[str, tuple[int, int | None]]:
    """By state: under which conditions its cases compare with those of other runs, and its kernel."""
    kernels = {kernel.state: kernel for kernel in manifest.kernels}
    found: dict[str, tuple[int, int | None]] = {}
    for state in manifest.states:
        kernel = kernels.get(state)
        lane = {
            "scenario": manifest.scenario,
            "state": state,
            "base": kernel.base if kernel else "",
            "stack": " + ".join(kernel.stack) if kernel else "",
            "config": manifest.options.get("config", ""),
            "accel": manifest.accel.name if manifest.accel else "",
            "exact": manifest.options.get("guests") == "exact",
            "profile": manifest.options.get("environment", ""),
        }
        found[state] = (_once(db, "lane", lane), _once(db, "kernel", _kernel(kernel)) if kernel else None)
    return found


def _kernel(kernel: model.Kernel) -> dict[str, object]:
    return {
        "key": kernel.key,
        "label": kernel.label,
        "release": kernel.release,
        "base": kernel.base,
        "source": kernel.source,
        "stack": " + ".join(kernel.stack),
        "config": " ".join(kernel.config),
    }


def _store_case(db: sqlite3.Connection, run: int, case: model.CaseResult, lane: int, kernel: int | None) -> None:
    outcome = case.outcome
    row = _insert(
        db,
        "outcome",
        {
            "run_id": run,
            "lane_id": lane,
            "kernel_id": kernel,
            "case_name": case.case,
            "status": outcome.status.value,
            "kind": outcome.kind.value,
            "reason": outcome.reason,
            "message": outcome.message[:TOLD],
            "met": case.met,
            "wanted": wanted(case.expected) if case.expected else "",
            "duration": outcome.duration,
            "folder": case.folder,
        },
    )
    _many(db, "splat", [(row, s.fingerprint, s.title, s.kind.value, s.count) for s in outcome.splats])
    _many(db, "cost", [(row, name, value) for name, value in outcome.costs.items()])


def _many(db: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    for row in rows:
        db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
