"""The walk of a night: what may start is started, what ends is noted, until nothing is left.

Who carries tasks out is an ``Executor``: this machine (``local``) or many (``cluster``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from harness.nightly.night import Night
from harness.nightly.schedule import Task
from harness.nightly.work import Errand, Report
from harness.progress import Step

BEAT = 0.5
"""Seconds between two looks at the clock."""


class Crash(RuntimeError):  # noqa: N818 - it is what it says
    """The lab itself is at fault: a bug, told with its traceback."""


class Told(Protocol):
    """Who follows a night."""

    def begun(self, name: str, build: bool) -> None:
        """A task was started."""

    def step(self, name: str, step: Step) -> None:
        """A sign of life of a task, from any thread."""

    def ended(self, report: Report) -> None:
        """A task came to its end."""

    def remark(self, text: str) -> None:
        """Something to know that is no task's end: a host that was lost."""

    def time_left(self, seconds: float, done: int, total: int) -> None:
        """How much there is still to do."""


class Executor(Protocol):
    """Who carries tasks out."""

    @property
    def cores(self) -> int:
        """How many things happen at once, for estimates."""

    def can_start(self, task: Task) -> bool:
        """Whether there is room for a task now."""

    def start(self, task: Task, errand: Errand | None, others_ready: bool) -> None:
        """Begin a task; a build when there is no errand."""

    def wait(self, seconds: float) -> Report | None:
        """The next report, or None after so many seconds."""


def walk(night: Night, executor: Executor, told: Told, note: Callable[[Report], None], budget: float = 0.0) -> None:
    """Carry a night out. ``note`` keeps each report before anything follows from it; ``budget`` is in seconds.

    What an executor raises ends it.
    """
    began: dict[str, float] = {}
    start = time.monotonic()
    while not night.over:
        if budget and time.monotonic() - start > budget:
            night.give_up(f"not run: the budget of {budget / 60:.0f} minutes was used up")
        _start_what_fits(night, executor, told, began)
        report = executor.wait(BEAT)
        if report is not None:
            note(report)
            night.take(report)
            began.pop(report.name, None)
            told.ended(report)
        elapsed = {name: time.monotonic() - since for name, since in began.items()}
        told.time_left(night.outlook(executor.cores, elapsed).seconds, night.done, night.total)


def _start_what_fits(night: Night, executor: Executor, told: Told, began: dict[str, float]) -> None:
    ready = night.ready()
    for task in ready:
        if executor.can_start(task):
            others = any(not other.build for other in ready)
            executor.start(task, night.errand(task), others)
            night.start(task)
            began[task.name] = time.monotonic()
            told.begun(task.name, task.build)
