"""One night's book-keeping: what is open, what may start, what a report leads to. Pure; who runs it is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from harness.nightly.matrix import Cell
from harness.nightly.schedule import Outlook, Task, ordered, simulate
from harness.nightly.work import Errand, Report

UNMET = 1
AGAIN, SLOWER_COLD = 30.0, 3
"""Guesses for the few cases that are run again: at most so many seconds, and so many times longer from power-on."""


@dataclass(frozen=True)
class Planned:
    """A cell with what it needs and what it is thought to take, in seconds on one core."""

    cell: Cell
    seconds: float
    needs: tuple[str, ...] = ()  # kernels that are not built yet, by identity
    company: tuple[str, ...] = ()  # suites that its guests are shared with


@dataclass(frozen=True)
class Kernel:
    """A kernel to be built, and the seconds of one core that it is thought to take."""

    identity: str
    label: str
    seconds: float


@dataclass
class Night:
    """The state of a night. ``start`` and ``take`` are called by one thread."""

    name: str
    planned: Sequence[Planned]
    kernels: Sequence[Kernel] = ()
    again: int = 2
    environment: tuple[str, ...] = ()
    reports: list[Report] = field(default_factory=list)
    _errands: dict[str, Errand] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _built: set[str] = field(default_factory=set)
    _lost: dict[str, Report] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kernel in self.kernels:
            self._tasks[kernel.identity] = Task(kernel.identity, kernel.seconds, build=True)
        for each in self.planned:
            self._open(self._first(each.cell, each.company), each.seconds, each.needs)

    def _first(self, cell: Cell, company: tuple[str, ...]) -> Errand:
        return Errand(
            nightly=self.name, job=cell.id, scenario=cell.scenario, base=cell.base, config=cell.config,
            accelerator=cell.accelerator, states=cell.states, environment=self.environment,
            company=company,
        )  # fmt: skip

    def _open(self, errand: Errand, seconds: float, needs: Iterable[str] = ()) -> None:
        self._errands[errand.name] = errand
        self._tasks[errand.name] = Task(errand.name, seconds, tuple(needs))

    def restore(self, reports: Iterable[Report]) -> None:
        """Take over what an earlier lab had done of this night."""
        for report in reports:
            if report.name in self._tasks or report.errand is not None:
                self.take(report)

    @property
    def over(self) -> bool:
        return not self._tasks

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def left(self) -> list[Task]:
        """All that is not done."""
        return list(self._tasks.values())

    def ready(self) -> list[Task]:
        """What may start now, in the order in which it should."""
        waiting = [task for task in ordered(self.left) if task.name not in self._running]
        return [task for task in waiting if all(need in self._built or need not in self._tasks for need in task.needs)]

    def errand(self, task: Task) -> Errand | None:
        """What to run for a task; None for a build."""
        return self._errands.get(task.name)

    def start(self, task: Task) -> None:
        self._running.add(task.name)

    def take(self, report: Report) -> None:
        """A task came to its end. What it leads to is open then: a failed case is run again."""
        task = self._tasks.pop(report.name, None)
        self._running.discard(report.name)
        self.reports.append(report)
        if report.errand is None:
            self._take_build(report)
        elif report.good:
            self._run_again(report.errand, report, task.seconds if task else 0.0)

    def _take_build(self, report: Report) -> None:
        if report.good:
            self._built.add(report.name)
            return
        for task in [task for task in self._tasks.values() if report.name in task.needs]:
            self.take(msgspec.structs.replace(report, name=task.name, errand=self._errands[task.name]))

    def _run_again(self, errand: Errand, report: Report, seconds: float) -> None:
        """The failed cases again, in their states: first in a fresh fork, then from power-on."""
        attempt = errand.attempt + 1
        unmet = report.unmet if errand.attempt == 0 else self._first_unmet(errand)
        if not unmet or attempt > self.again:
            return
        states = tuple(dict.fromkeys(state for state, _ in unmet))
        cases = tuple(dict.fromkeys(case for _, case in unmet))
        again = msgspec.structs.replace(errand, states=states, cases=cases, attempt=attempt, cold=attempt > 1)
        self._open(again, min(seconds, AGAIN) * (1 if attempt == 1 else SLOWER_COLD))

    def _first_unmet(self, errand: Errand) -> tuple[tuple[str, str], ...]:
        firsts = (each for each in self.reports if each.errand and each.errand.job == errand.job)
        return next((each.unmet for each in firsts if each.errand and each.errand.attempt == 0), ())

    def give_up(self, why: str) -> None:
        """What has not begun is not run any more (the budget is used up)."""
        for task in [task for task in self._tasks.values() if task.name not in self._running]:
            del self._tasks[task.name]
            errand = self._errands.get(task.name)
            if errand is not None and errand.attempt == 0:
                self.reports.append(Report(name=task.name, errand=errand, error=why, whose="budget", code=UNMET))

    @property
    def done(self) -> int:
        """Errands that came to their end."""
        return sum(report.errand is not None for report in self.reports)

    @property
    def total(self) -> int:
        """Errands, as far as they are known: each failure adds some."""
        return self.done + sum(not task.build for task in self.left)

    def outlook(self, cores: int, elapsed: Mapping[str, float] | None = None) -> Outlook:
        """How long all that is open takes on so many cores; ``elapsed`` seconds of what runs are done."""
        gone = elapsed or {}
        tasks = [
            Task(t.name, max(0.0, t.seconds - gone.get(t.name, 0.0)), self._open_needs(t), t.build) for t in self.left
        ]
        return simulate(tasks, cores)

    def _open_needs(self, task: Task) -> tuple[str, ...]:
        return tuple(need for need in task.needs if need in self._tasks)


def codes(reports: Iterable[Report]) -> Mapping[str, int]:
    """Exit status by job of what could not be run."""
    return {each.errand.job: each.code for each in reports if each.errand and each.error}
