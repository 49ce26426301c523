"""What a person sees while work goes on: one live line with a count and the time left, lines that stay, no more.

rich is imported only when a live line is really drawn: on a terminal, for work that takes more than a moment.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from harness.progress import Step

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE = 0.4
"""Seconds before a live line is worth drawing."""


WIDE = 90
"""Columns from which on the live line has a bar; with less it would cut its numbers."""
ROOM = 30
"""Columns that a text needs to stand beside the rest of its line."""
INDENT = 6
"""Columns by which it is indented where it has less."""


class Screen:
    """Standard error for progress, standard output for lines that belong to the answer."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lines = not quiet
        self._live = sys.stderr.isatty() and not quiet
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        if self._lines:
            click.echo(text)

    def step(self, step: Step) -> None:
        """One sign of life of a long piece of work."""
        if step.stage != self._stage:
            self.clear()
            self._stage = step.stage
            self._since = time.monotonic()
            if not self._live and not self._quiet:
                click.echo(f"... {step.stage}", err=True)
        if self._live and time.monotonic() - self._since >= PATIENCE:
            self._draw(step)

    def say_less(self) -> None:
        """From now on no lines that stay: they would only repeat what was said."""
        self._lines = False

    def clear(self) -> None:
        """Take the live line away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None
        self._stage = ""

    def _draw(self, step: Step) -> None:
        from harness.results.text import plain

        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(step.stage, total=step.total or None, note="")
        assert self._task is not None
        self._bar.update(self._task, completed=step.done, total=step.total or None, note=plain(step.note)[-60:])


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    times = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(
        TextColumn("{task.description}"),
        *(times if console.width >= WIDE else (MofNCompleteColumn(), TimeRemainingColumn())),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console,
        transient=True,
        refresh_per_second=8,
    )


def duration(seconds: float) -> str:
    """0.9 s, 31.0 s, 4:11, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def hanging(head: str, text: str) -> str:
    """A line of a table. On a terminal that is too narrow for it the text goes on below itself; words stay whole."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    if not width or len(head) + len(text) <= width:
        return head + text
    indent = len(head) if width - len(head) >= ROOM else INDENT
    lines = textwrap.wrap(head + text, width, subsequent_indent=" " * indent, break_on_hyphens=False)
    return "\n".join(lines)
