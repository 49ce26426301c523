"""The database's tables, a migration a version, and how a connection is opened.

A migration that was released is never changed: the next one is appended. ``PRAGMA user_version`` counts those applied.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from harness.errors import InfraError

BUSY = 15.0
"""Seconds to wait for another lab that writes: a run is stored in milliseconds, an import of thousands in seconds."""

FIRST = """
CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    accel TEXT NOT NULL, accel_reason TEXT NOT NULL, qemu TEXT NOT NULL, compiler TEXT NOT NULL,
    host TEXT NOT NULL, host_kernel TEXT NOT NULL, python TEXT NOT NULL, lab TEXT NOT NULL, sandboxed INTEGER NOT NULL,
    UNIQUE (accel, accel_reason, qemu, compiler, host, host_kernel, python, lab, sandboxed)
);
CREATE TABLE kernel (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL, label TEXT NOT NULL, release TEXT NOT NULL,
    base TEXT NOT NULL, source TEXT NOT NULL, stack TEXT NOT NULL, config TEXT NOT NULL,
    UNIQUE (key, label, release, base, source, stack, config)
);
CREATE TABLE lane (
    id INTEGER PRIMARY KEY,
    scenario TEXT NOT NULL, state TEXT NOT NULL, base TEXT NOT NULL, stack TEXT NOT NULL, config TEXT NOT NULL,
    accel TEXT NOT NULL, exact INTEGER NOT NULL, profile TEXT NOT NULL,
    UNIQUE (scenario, state, base, stack, config, accel, exact, profile)
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, scenario TEXT NOT NULL,
    status TEXT NOT NULL, as_expected INTEGER NOT NULL, error TEXT NOT NULL,
    started TEXT NOT NULL, finished TEXT NOT NULL, duration REAL NOT NULL, planned INTEGER NOT NULL,
    argv TEXT NOT NULL, guests TEXT NOT NULL, commit_id TEXT NOT NULL, changed INTEGER NOT NULL,
    nightly TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL,
    environment_id INTEGER NOT NULL REFERENCES environment (id)
);
CREATE INDEX run_started ON run (started);
CREATE INDEX run_nightly ON run (nightly) WHERE nightly != '';
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    lane_id INTEGER NOT NULL REFERENCES lane (id),
    kernel_id INTEGER REFERENCES kernel (id),
    case_name TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
    met INTEGER, wanted TEXT NOT NULL, duration REAL NOT NULL, folder TEXT NOT NULL
);
CREATE INDEX outcome_run ON outcome (run_id);
CREATE INDEX outcome_case ON outcome (case_name, lane_id, run_id);
CREATE TABLE splat (
    outcome_id INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, times INTEGER NOT NULL
);
CREATE INDEX splat_outcome ON splat (outcome_id);
CREATE INDEX splat_fingerprint ON splat (fingerprint);
CREATE TABLE cost (
    outcome_id INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    name TEXT NOT NULL, value INTEGER NOT NULL
);
CREATE INDEX cost_outcome ON cost (outcome_id);
CREATE TABLE nightly (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, status TEXT NOT NULL,
    started TEXT NOT NULL, finished TEXT NOT NULL, commit_id TEXT NOT NULL, jobs INTEGER NOT NULL, summary TEXT NOT NULL
);
CREATE TABLE bisect (
    id INTEGER PRIMARY KEY,
    nightly TEXT NOT NULL, scenario TEXT NOT NULL, state TEXT NOT NULL, case_name TEXT NOT NULL, over TEXT NOT NULL,
    good TEXT NOT NULL, bad TEXT NOT NULL, culprit TEXT NOT NULL, subject TEXT NOT NULL, steps TEXT NOT NULL,
    created TEXT NOT NULL
);
"""

MIGRATIONS = (FIRST,)


def _way_out(path: Path) -> str:
    """What to do about a database that SQLite cannot use: it writes beside it even to read."""
    if not os.access(path.parent, os.W_OK):
        return f"{path.parent} cannot be written: run lab in a workspace that can, or set LAB_WORKSPACE to it"
    return "it is made of the run folders: move it away, then `lab history import`"


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the database at ``path``, made or brought to this lab's version first.

    Write-ahead logging lets readers go on while a lab writes. Raises InfraError when the file cannot be opened, is no
    database, or is of a newer lab.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as exc:
        raise InfraError(f"cannot open {path}: {exc}") from exc
    try:
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        raise InfraError(f"{path} cannot be used: {exc}", hint=_way_out(path)) from exc
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what this lab knows and the file does not have yet; two labs at once do it once.

    Raises InfraError when the file is of a newer lab.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        have = _version(connection)
        if have > len(MIGRATIONS):
            raise InfraError(
                f"{path} is of version {have}; this lab knows {len(MIGRATIONS)}", hint="use the lab that wrote it"
            )
        for script in MIGRATIONS[have:]:
            for statement in script.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
