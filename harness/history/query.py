"""Questions to the database.

points(history, scenario="ext4-*", case="alias*", since="2026-11-01T00:00:00Z")     # oldest first
run(history, "20261122T151733Z-ext4-unlinked")
durations(history)                                                                   # for estimates
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from harness.errors import UserError
from harness.history.rows import Complaint, Lane, Point, RunRow
from harness.history.store import History

CHUNK = 500
"""Rows asked for at once by their ids: SQLite takes a thousand variables in a statement."""

POINTS = """
SELECT outcome.id, run.name AS run, run.folder AS run_folder, run.started, run.nightly, run.job, run.attempt,
    run.guests, run.commit_id, run.changed, environment.host, environment.qemu,
    outcome.case_name, outcome.status, outcome.kind, outcome.reason, outcome.message, outcome.met, outcome.wanted,
    outcome.duration, outcome.folder, kernel.key, kernel.label, kernel.source, outcome.lane_id,
    lane.scenario, lane.state, lane.base, lane.stack, lane.config, lane.accel, lane.exact, lane.profile
FROM outcome JOIN run ON run.id = outcome.run_id JOIN lane ON lane.id = outcome.lane_id
    JOIN environment ON environment.id = run.environment_id LEFT JOIN kernel ON kernel.id = outcome.kernel_id
WHERE {where}
ORDER BY run.started, run.id, outcome.id
"""

RUNS = """
SELECT run.name, run.folder, run.scenario, run.status, run.as_expected, run.error, run.started, run.finished,
    run.duration, run.planned, run.argv, run.guests, run.commit_id AS "commit", run.changed, run.nightly, run.job,
    run.attempt, environment.accel, environment.accel_reason, environment.qemu, environment.compiler,
    environment.host, environment.host_kernel, environment.python, environment.lab, environment.sandboxed
FROM run JOIN environment ON environment.id = run.environment_id WHERE {where} ORDER BY run.started DESC, run.id DESC
"""


def points(
    history: History,
    *,
    scenario: str = "",
    case: str = "",
    run: str = "",
    nightly: str = "",
    since: str = "",
    details: bool = True,
) -> list[Point]:
    """Outcomes, oldest first. ``scenario`` and ``case`` may have shell wildcards; ``since`` is UTC in ISO 8601.

    ``details`` are splats and costs: leave them out where thousands of outcomes are only counted.
    """
    asked = {
        "lane.scenario GLOB ?": scenario,
        "outcome.case_name GLOB ?": case,
        "run.name = ?": run,
        "run.nightly = ?": nightly,
        "run.started >= ?": since,
    }
    given = {clause: value for clause, value in asked.items() if value}
    where = " AND ".join(given) or "1"
    rows = history.db.execute(POINTS.format(where=where), tuple(given.values())).fetchall()
    lanes: dict[int, Lane] = {}
    ids = [int(row["id"]) for row in rows] if details else []
    splats, costs = _splats(history, ids), _costs(history, ids)
    return [_point(row, lanes, splats, costs) for row in rows]


def _point(
    row: sqlite3.Row,
    lanes: dict[int, Lane],
    splats: dict[int, list[Complaint]],
    costs: dict[int, list[tuple[str, int]]],
) -> Point:
    lane = lanes.get(row["lane_id"])
    if lane is None:
        lane = lanes[row["lane_id"]] = Lane(
            row["lane_id"], row["scenario"], row["state"], row["base"], row["stack"], row["config"], row["accel"],
            bool(row["exact"]), row["profile"],
        )  # fmt: skip
    return Point(
        id=row["id"], run=row["run"], folder=row["run_folder"], started=row["started"], nightly=row["nightly"],
        job=row["job"], attempt=row["attempt"], guests=row["guests"], commit=row["commit_id"],
        changed=bool(row["changed"]), host=row["host"], qemu=row["qemu"], lane=lane, case=row["case_name"],
        kernel=row["key"] or "", label=row["label"] or "", source=row["source"] or "", status=row["status"],
        kind=row["kind"], reason=row["reason"], message=row["message"], wanted=row["wanted"],
        met=None if row["met"] is None else bool(row["met"]), duration=row["duration"], where=row["folder"],
        complaints=tuple(splats.get(row["id"], ())), costs=tuple(costs.get(row["id"], ())),
    )  # fmt: skip


def _by_outcome(history: History, columns: str, table: str, ids: Sequence[int]) -> Iterator[sqlite3.Row]:
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        marks = ", ".join("?" * len(some))
        yield from history.db.execute(
            f"SELECT outcome_id, {columns} FROM {table} WHERE outcome_id IN ({marks}) ORDER BY rowid", some
        )


def _splats(history: History, ids: Sequence[int]) -> dict[int, list[Complaint]]:
    found: dict[int, list[Complaint]] = defaultdict(list)
    for row in _by_outcome(history, "fingerprint, title, kind, times", "splat", ids):
        found[row["outcome_id"]].append(Complaint(row["fingerprint"], row["title"], row["kind"], row["times"]))
    return found


def _costs(history: History, ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in _by_outcome(history, "name, value", "cost", ids):
        found[row["outcome_id"]].append((row["name"], row["value"]))
    return found


def runs(history: History, *, nightly: str = "", since: str = "", limit: int = -1) -> list[RunRow]:
    """Runs, newest first."""
    where = "(? = '' OR run.nightly = ?) AND run.started >= ? "
    rows = history.db.execute(RUNS.format(where=where) + "LIMIT ?", (nightly, nightly, since, limit))
    return [_run(row) for row in rows]


def run(history: History, name: str) -> RunRow:
    """The run a person means: ``last``, its name, or a part of it that fits one run only.

    Raises UserError when there is none or more than one.
    """
    if name == "last":
        found = runs(history, limit=1)
    else:
        rows = history.db.execute(RUNS.format(where="instr(run.name, ?) > 0"), (name,))
        found = [_run(row) for row in rows]
        found = [row for row in found if row.name == name] or found
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(row.name for row in found[:5])
        raise UserError(f"{name!r} is {len(found)} runs: {names}", hint="say more of the name")
    raise UserError(f"the history has no run {name!r}", hint="`lab history import` adds run folders that it lacks")


def _run(row: sqlite3.Row) -> RunRow:
    return msgspec.convert(dict(row), RunRow, strict=False)  # SQLite has 0 and 1 for a truth value


def first_seen(history: History, fingerprints: Sequence[str]) -> dict[str, str]:
    """When a complaint was seen for the first time, by fingerprint; those never seen are not in it."""
    asked = (
        "SELECT MIN(run.started) AS first FROM splat JOIN outcome ON outcome.id = splat.outcome_id "
        "JOIN run ON run.id = outcome.run_id WHERE splat.fingerprint = ?"
    )
    found = {each: history.db.execute(asked, (each,)).fetchone()["first"] for each in dict.fromkeys(fingerprints)}
    return {fingerprint: first for fingerprint, first in found.items() if first}


def durations(history: History, recent: int = 20) -> dict[tuple[str, str, str, str], float]:
    """Mean seconds of a case by (scenario, state, config, case), over its last ``recent`` outcomes."""
    rows = history.db.execute(
        "SELECT scenario, state, config, case_name, AVG(duration) AS mean FROM ("
        "SELECT lane.scenario, lane.state, lane.config, outcome.case_name, outcome.duration, ROW_NUMBER() OVER ("
        "PARTITION BY lane.scenario, lane.state, lane.config, outcome.case_name ORDER BY outcome.id DESC) AS age "
        "FROM outcome JOIN lane ON lane.id = outcome.lane_id WHERE NOT lane.exact) "
        "WHERE age <= ? GROUP BY scenario, state, config, case_name",
        (recent,),
    )
    return {(row["scenario"], row["state"], row["config"], row["case_name"]): row["mean"] for row in rows}


def job_seconds(history: History, recent: int = 3) -> dict[str, float]:
    """Mean seconds of a night's jobs by name, over the last ``recent`` nights that ran all of them."""
    rows = history.db.execute(
        "SELECT job, AVG(duration) AS mean FROM ("
        "SELECT job, duration, ROW_NUMBER() OVER (PARTITION BY job ORDER BY id DESC) AS age FROM run "
        "WHERE job != '' AND attempt = 0 AND status = 'done') WHERE age <= ? GROUP BY job",
        (recent,),
    )
    return {row["job"]: row["mean"] for row in rows}


def nightlies(history: History) -> list[dict[str, object]]:
    """The nightlies, newest first, a column a key."""
    rows = history.db.execute('SELECT *, commit_id AS "commit" FROM nightly ORDER BY started DESC, id DESC')
    return [dict(row) for row in rows]


def bisects(history: History, *, nightly: str = "") -> list[dict[str, object]]:
    """What bisects found, newest first, a column a key."""
    rows = history.db.execute(
        "SELECT * FROM bisect WHERE ? = '' OR nightly = ? ORDER BY created DESC, id DESC", (nightly, nightly)
    )
    return [dict(row) for row in rows]


def counts(history: History) -> dict[str, tuple[int, int]]:
    """By run: its outcomes that were as promised, and those that something was promised of."""
    rows = history.db.execute(
        "SELECT run.name, TOTAL(outcome.met) AS good, COUNT(outcome.met) AS judged FROM run "
        "LEFT JOIN outcome ON outcome.run_id = run.id GROUP BY run.id"
    )
    return {row["name"]: (int(row["good"]), row["judged"]) for row in rows}
