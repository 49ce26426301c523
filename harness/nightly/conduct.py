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
from harness.history import query
from harness.history.store import History
from harness.nightly import estimate, tell
from harness.nightly.book import Book, Ended, LeftOut, Plan, content_of, same_content
from harness.nightly.matrix import Matrix, expand
from harness.nightly.morning import Found, Morning, morning
from harness.nightly.night import Kernel, Night, Planned
from harness.nightly.schedule import Outlook
from harness.nightly.walk import Executor, Told, walk
from harness.results.run import now, stamp
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


def finish(place: Place, book: Book, plan: Plan, night: Night, began: float, bisects: Sequence[Found] = ()) -> Morning:
    """Tell a night that came to its end: the summary in its folder, and in the memory.

    ``began`` is the monotonic time at which this lab began with it.
    """
    seconds, finished = time.monotonic() - began, stamp(now())
    with History.of(place.workspace) as history:
        found = morning(
            plan, night.reports, history, place.catalogue.known, status="done", finished=finished, seconds=seconds,
            today=datetime.datetime.now(datetime.UTC).date(), bisects=bisects,
        )  # fmt: skip
    ended = Ended(
        name=plan.name, status="done", started=plan.started, finished=finished, seconds=round(seconds, 1),
        code=found.code, counts=found.counts, reports=len(night.reports),
    )  # fmt: skip
    book.end(ended, {"summary.txt": tell.text(found), "summary.html": tell.html(found), "junit.xml": tell.junit(found)})
    _remember(place, book, plan, "done", finished, {"headline": found.headline, "code": found.code, **found.counts})
    return found
