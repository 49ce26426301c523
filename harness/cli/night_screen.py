"""A night as a person follows it: a line for what ended, live lines for what goes on and the time left."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import click

from harness.cli.screen import Screen, duration
from harness.nightly.work import Report
from harness.progress import Step

if TYPE_CHECKING:
    from harness.nightly.morning import Morning


class NightScreen(Screen):
    """Who follows a night (``harness.nightly.walk.Told``). Steps come from any thread."""

    def __init__(self, labels: dict[str, str]) -> None:
        super().__init__()
        self._labels = labels
        self._now: dict[str, str] = {}
        self._guard = threading.RLock()
        self._told = 0.0

    def begun(self, name: str, build: bool) -> None:
        with self._guard:
            self._now[name] = "building" if build else "begun"

    def step(self, name: str, step: Step) -> None:  # type: ignore[override]
        count = f" {step.done}/{step.total}" if step.total else ""
        with self._guard:
            self._now[name] = f"{step.stage}{count}"

    def ended(self, report: Report) -> None:
        with self._guard:
            self._now.pop(report.name, None)
            label = self._labels.get(report.name, report.name)
            if report.error:
                said = click.style(f"{report.whose}: {report.error.splitlines()[0]}", fg="red")
            elif report.errand is None:
                said = f"built in {duration(report.seconds)}"
            else:
                said = f"{duration(report.seconds)}  " + self._outcome(report)
            self.line(f"{label:<44} {said}")

    def _outcome(self, report: Report) -> str:
        if not report.unmet:
            return click.style("as promised", fg="green")
        names = ", ".join(f"{case} ({state})" for state, case in report.unmet[:3])
        more = f" and {len(report.unmet) - 3} more" if len(report.unmet) > 3 else ""
        return click.style(f"not as promised: {names}{more}", fg="red")

    def remark(self, text: str) -> None:
        with self._guard:
            self.line(click.style(text, fg="yellow"))

    def time_left(self, seconds: float, done: int, total: int) -> None:
        with self._guard:
            note = "; ".join(f"{self._labels.get(name, name)} {what}" for name, what in self._now.items())
            if sys.stderr.isatty():
                super().step(Step(f"{duration(seconds)} left", done, total, note))
            elif time.monotonic() - self._told > 60:
                self._told = time.monotonic()
                click.echo(f"... {done} of {total} jobs, about {duration(seconds)} left: {note}", err=True)


def last_words(morning: Morning, where: str) -> None:
    """The summary, and where it is kept."""
    from harness.nightly import tell

    click.echo("\n" + tell.text(morning))
    click.echo(f"{where}/")
