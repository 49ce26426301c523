"""An errand run where it is: a job of the runner, and what is to be said of it."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from harness import process
from harness.errors import LabError
from harness.kernel.build import Kernel
from harness.nightly.estimate import wishes_of
from harness.nightly.matrix import Cell, job_of
from harness.nightly.work import Errand, Report
from harness.plan import Job, State
from harness.progress import Step
from harness.results.model import CaseResult
from harness.results.run import Terminated
from harness.runner.prepare import Place, Ready, Wishes
from harness.runner.run import run

Told = Callable[[Step], None]


class Quiet:
    """A ``Watcher`` that hears steps and counts cases for one listener."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def step(self, step: Step) -> None:
        self._told(step)

    def built(self, state: State, kernel: Kernel) -> None:
        """Builds were told as such."""

    def booted(self, ready: Ready) -> None:
        self._told(Step("boot", note=ready.state.name))

    def judged(self, result: CaseResult, done: int, total: int) -> None:
        self._told(Step("cases", done, total, f"{result.state} {result.case}"))


def cell_of(errand: Errand) -> Cell:
    """The cell of an errand, without its number: what is run is the same."""
    return Cell(errand.scenario, errand.base, errand.config, errand.accelerator, errand.states)


def job_of_errand(place: Place, errand: Errand) -> tuple[Job, Wishes]:
    """What the runner is asked.

    Raises UserError when the workspace does not have what the errand names.
    """
    cell = cell_of(errand)
    job = job_of(place.catalogue, cell)
    if errand.cases:
        job = replace(job, cases=tuple(case for case in job.cases if case in errand.cases))
    wishes = replace(
        wishes_of(cell.fragments, cell.accelerator, errand.environment),
        cold=errand.cold,
        company=errand.company,
        notes=(("nightly", errand.nightly), ("job", errand.job), ("attempt", str(errand.attempt))),
    )
    return job, wishes


def carry_out(place: Place, errand: Errand, told: Told, stopping: threading.Event) -> Report:
    """Run an errand. What is nobody's fault but the job's is in the report.

    Raises Terminated when ``stopping`` was set meanwhile.
    """
    process.enlist(None)
    began = time.monotonic()
    try:
        job, wishes = job_of_errand(place, errand)
        argv = ("lab", "run", f"{errand.scenario}", "--base", errand.base, *_config(wishes))
        finished = run(place, job, wishes, Quiet(told), argv, stopping)
    except LabError as exc:
        if stopping.is_set():
            raise Terminated("the night was stopped") from exc
        return failed(errand.name, exc, errand)
    unmet = tuple((case.state, case.case) for case in finished.result.unexpected)
    return Report(
        name=errand.name, errand=errand, run=finished.folder.path.name, unmet=unmet, host=platform.node(),
        seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip


def _config(wishes: Wishes) -> tuple[str, ...]:
    return tuple(word for fragment in wishes.config for word in ("--config", fragment))


def failed(name: str, exc: LabError, errand: Errand | None = None) -> Report:
    """The report of what an error kept from being done."""
    first = getattr(exc, "first_error", "")
    text = exc.message + (f"\n{first}" if first else "") + (f"\nthe whole log: {exc.log}" if exc.log else "")
    return Report(name=name, errand=errand, error=text, whose=exc.whose, code=exc.exit_code, host=platform.node())
