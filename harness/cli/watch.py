"""A run as a person follows it: a line a kernel, a line a guest, a count of cases while they run."""

from __future__ import annotations

import click

from harness.cli.screen import Screen, duration, hanging
from harness.kernel.build import Kernel
from harness.plan import State
from harness.progress import Step
from harness.results.model import CaseResult
from harness.runner.prepare import Ready

LABEL = 52
STAGES = {
    "base": "looking for the base",
    "fetch": "fetching",
    "unpack": "unpacking",
    "make": "building the kernel",
    "config": "configuring the kernel",
    "checkout": "checking out",
    "apply": "applying patches",
    "keep": "keeping the kernel",
    "wait": "waiting for another lab",
    "guest": "packing the guest",
    "boot": "booting a guest",
}


class RunScreen(Screen):
    """A ``Watcher`` on the terminal."""

    _told_why = False

    def step(self, step: Step) -> None:
        super().step(step._replace(stage=STAGES.get(step.stage, step.stage)))

    def built(self, _state: State, kernel: Kernel) -> None:
        how = f"cached {kernel.key[:6]}" if kernel.cached else f"built  {kernel.key[:6]}   {duration(kernel.seconds)}"
        self.line(f"kernel   {kernel.label:<{LABEL}} {how}")

    def booted(self, ready: Ready) -> None:
        what = ", ".join(filter(None, [ready.suite.image, ready.filesystem.type if ready.filesystem else ""]))
        if not self._told_why:
            why = f"{ready.accel.accelerator.value.upper()} ({ready.accel.reason})"
            self.line(hanging(f"guest    {what:<{LABEL}} ", why))
            self._told_why = True
        if ready.unborn:
            self.line(click.style(f"         {ready.state.name}: never ready: {ready.unborn.detail}", fg="red"))
        elif ready.cold:
            self.line(f"         {ready.state.name}: every case boots a guest of its own")
        else:
            when = (
                f"booted in {duration(ready.boot_seconds)} and saved"
                if ready.boot_seconds
                else "saved by an earlier run"
            )
            self.line(f"         {ready.state.name}: {when}, ready to fork")

    def judged(self, result: CaseResult, done: int, total: int) -> None:
        super().step(Step("cases", done, total, f"{result.state} {result.case}"))
