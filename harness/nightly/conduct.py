"""A whole night: planned, begun or gone on with, carried out, told.

prepared = prepare(place, declared, history)
with Book.begin(workspace) as book:
    conduct(place, book, prepared, executor, told)
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.catalogue.nightly import Nightly
from harness.errors import LabError
from harness.history import query
from harness.history.store import History
from harness.history.trend import Standing, Track, tracks
from harness.nightly import estimate, tell
from harness.nightly.bisect import bisect
from harness.nightly.book import Book, Ended, LeftOut, Plan, content_of, same_content
from harness.nightly.matrix import Matrix, expand
from harness.nightly.morning import Found, Morning, morning
from harness.nightly.night import Kernel, Night, Planned
from harness.nightly.schedule import Outlook
from harness.nightly.walk import Executor, Told, walk
from harness.results import index, kcidb
from harness.results.run import now, stamp, to_json
from harness.runner.prepare import Place

SECONDS_OF_A_MINUTE = 60


@dataclass(frozen=True)
class Prepared:
    """What is going to be done."""

    declared: Nightly
    matrix: Matrix
    needed: estimate.Needed
    planned: Sequence[Planned]
    over_budget: Sequence[Planned]
    kernels: Sequence[Kernel]

    def outlook(self, cores: int) -> Outlook:
        return Night("", self.planned, self.kernels).outlook(cores)


def prepare(place: Place, declared: Nightly, history: History, cores: int) -> Prepared:
    """The cells of a night with their estimates; what its budget has no room for is set apart.

    Raises UserError, SeriesError or DeclarationError.
    """
    matrix = expand(place.catalogue, declared)
    needed, planned, kernels = estimate.planned(place, matrix.cells, history)
    over: Sequence[Planned] = ()
    if declared.budget:
        last = {run.job: run.started for run in reversed(query.runs(history)) if run.job}
        planned, over = estimate.within_budget(planned, kernels, cores, declared.budget * SECONDS_OF_A_MINUTE, last)
        wanted = {need for each in planned for need in each.needs}
        kernels = [kernel for kernel in kernels if kernel.identity in wanted]
    return Prepared(declared, matrix, needed, planned, over, kernels)


def plan_of(place: Place, name: str, prepared: Prepared, where: str, seconds: float) -> Plan:
    """The plan as it is kept."""
    commit, content = content_of(place.workspace)
    declared = prepared.declared
    over = [
        LeftOut(each.cell.id, f"no room in the budget of {declared.budget} minutes") for each in prepared.over_budget
    ]
    return Plan(
        name=name, title=declared.title, started=stamp(now()), cells=tuple(each.cell.id for each in prepared.planned),
        left_out=(*(LeftOut(each.cell.id, each.reason) for each in prepared.matrix.left_out), *over),
        again=declared.again, environment=declared.environment, budget=declared.budget, where=where,
        seconds=round(seconds, 1), commit=commit, content=content,
    )  # fmt: skip


def restored(place: Place, book: Book, prepared: Prepared) -> Plan:
    """The plan of a night that is gone on with.

    Raises UserError when the workspace is not what it was.
    """
    plan = book.plan()
    same_content(plan, place.workspace)
    return plan


def night_of(plan: Plan, prepared: Prepared, book: Book) -> Night:
    """The night's book-keeping, with what was done of it before."""
    planned = [each for each in (*prepared.planned, *prepared.over_budget) if each.cell.id in plan.cells]
    wanted = {need for each in planned for need in each.needs}
    kernels = [kernel for kernel in prepared.kernels if kernel.identity in wanted]
    night = Night(plan.name, planned, kernels, plan.again, plan.environment)
    night.restore(report for report in book.reports() if report.good and report.errand is not None)
    return night


def conduct(place: Place, book: Book, plan: Plan, prepared: Prepared, executor: Executor, told: Told) -> Night:
    """Carry a night out, to its end. What stops it leaves what was done, for `--resume`.

    Raises what stops it: KeyboardInterrupt, and what an executor raises.
    """
    night = night_of(plan, prepared, book)
    _remember(place, book, plan, "running", "", {})
    try:
        walk(night, executor, told, book.note, plan.budget * SECONDS_OF_A_MINUTE)
    except BaseException:
        _remember(place, book, plan, "killed", stamp(now()), {})
        raise
    return night


def _remember(place: Place, book: Book, plan: Plan, status: str, finished: str, summary: Mapping[str, object]) -> None:
    import msgspec

    with History.of(place.workspace) as history:
        history.note_nightly(
            {
                "name": plan.name, "folder": str(book.folder), "status": status, "started": plan.started,
                "finished": finished, "commit_id": plan.commit, "jobs": len(plan.cells),
                "summary": msgspec.json.encode(dict(summary)).decode(),
            }
        )  # fmt: skip


def _kcidb(place: Place, night: Night) -> str:
    """The night's runs as one KCIDB submission."""
    entries = [index.entry(place.workspace.runs / report.run) for report in night.reports if report.run]
    ran = [kcidb.Ran(each.name, each.manifest, each.result) for each in entries if each.manifest and each.result]
    return to_json(kcidb.document(ran)).decode()


def find_causes(place: Place, plan: Plan, told: Told) -> list[Found]:
    """Bisect tonight's regressions: the cases that passed on earlier nights and failed every time in this one."""
    with History.of(place.workspace) as history:
        tonight = query.points(history, nightly=plan.name, details=False)
        wrong = {(point.lane.id, point.case) for point in tonight if point.met is False}
        found = [
            track
            for scenario, case in dict.fromkeys((p.lane.scenario, p.case) for p in tonight if p.met is False)
            for track in tracks(query.points(history, scenario=scenario, case=case, details=False))
            if (track.lane.id, track.case) in wrong and track.standing is Standing.REGRESSION
        ]
    causes = []
    for track in found:
        try:
            cause = bisect(place, track, lambda step: told.step("bisect", step))
        except LabError as exc:
            told.remark(f"{track.lane.scenario}/{track.case} is not bisected: {exc.message}")
            continue
        causes.append(cause)
        with History.of(place.workspace) as history:
            history.note_bisect(_row_of(plan, track, cause))
    return causes


def _row_of(plan: Plan, track: Track, cause: Found) -> dict[str, object]:
    good, bad = track.last_good, track.first_bad
    assert good is not None
    assert bad is not None
    return {
        "nightly": plan.name, "scenario": track.lane.scenario, "state": track.lane.state, "case_name": track.case,
        "over": cause.over, "good": good.run, "bad": bad.run, "culprit": cause.culprit, "subject": cause.subject,
        "steps": "\n".join(cause.steps), "created": stamp(now()),
    }  # fmt: skip


def finish(
    place: Place, book: Book, plan: Plan, night: Night, began: float, remarks: Sequence[str] = (),
    bisects: Sequence[Found] = (),
) -> Morning:  # fmt: skip
    """Tell a night that came to its end: the summary in its folder, and in the memory.

    ``began`` is the monotonic time at which this lab began with it.
    """
    seconds, finished = time.monotonic() - began, stamp(now())
    with History.of(place.workspace) as history:
        found = morning(
            plan, night.reports, history, place.catalogue.known, status="done", finished=finished, seconds=seconds,
            today=datetime.datetime.now(datetime.UTC).date(), remarks=remarks, bisects=bisects,
        )  # fmt: skip
    ended = Ended(
        name=plan.name, status="done", started=plan.started, finished=finished, seconds=round(seconds, 1),
        code=found.code, counts=found.counts, reports=len(night.reports),
    )  # fmt: skip
    texts = {"summary.txt": tell.text(found), "summary.html": tell.html(found), "junit.xml": tell.junit(found)}
    book.end(ended, texts | {"kcidb.json": _kcidb(place, night)})
    _remember(place, book, plan, "done", finished, {"headline": found.headline, "code": found.code, **found.counts})
    return found
