"""Commands, timed: the clock, and the processor seconds of all that they started."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.workspace import SERIES, STATE, TREE


@dataclass(frozen=True)
class Run:
    """One command. ``processor`` are the seconds of all that it started (nan without perf), ``own`` those of what was
    waited for: all but QEMU, which dies with its sandbox. ``first`` is when the first QEMU was seen, 0 if never."""

    seconds: float
    processor: float
    own: float
    first: float
    output: str


def command(argv: Sequence[str], folder: Path, environment: dict[str, str], *, watch: bool = False) -> Run:
    """Run a command to its end; ``watch`` looks for its first QEMU.

    Ends the benchmark when it fails.
    """
    with tempfile.NamedTemporaryFile() as counted:
        words = [*_counting(counted.name), *argv]
        before, started = _children(), time.monotonic()
        pipe = subprocess.PIPE
        child = subprocess.Popen(words, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)
        first = _first_qemu(child.pid, started) if watch else 0.0
        output, errors = child.communicate()
        seconds = time.monotonic() - started
        if child.returncode != 0:
            sys.exit(f"{' '.join(argv)} exited with {child.returncode}:\n{output[-2000:]}{errors[-2000:]}")
        return Run(seconds, _task_clock(Path(counted.name)), _children() - before, first, output)


def _counting(name: str) -> list[str]:
    """perf follows children that nobody waits for, which times(2) does not."""
    return ["perf", "stat", "-x,", "-e", "task-clock", "-o", name, "--"] if shutil.which("perf") else []


def _task_clock(path: Path) -> float:
    found = re.search(r"^([\d.]+),msec,task-clock", path.read_text(), re.M)
    return float(found.group(1)) / 1000 if found else math.nan


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _first_qemu(pid: int, started: float) -> float:
    """Seconds until a process called qemu-system-x86 is below ``pid``'s session, looked for every 2 ms."""
    known = {entry.name for entry in Path("/proc").iterdir()}
    while Path(f"/proc/{pid}").exists() and time.monotonic() < started + 20:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name not in known:
                try:
                    name = (entry / "comm").read_text()
                except OSError:
                    continue
                if name.startswith("qemu-system"):
                    return time.monotonic() - started
        time.sleep(0.002)
    return 0.0


def lab(workspace: Path, *argv: str, watch: bool = False) -> tuple[Run, Any]:
    """One `lab run --format json` of the measured state, and what it answered."""
    environment = os.environ | {"LAB_WORKSPACE": str(workspace), "PYTHONPATH": str(TREE)}
    words = [sys.executable, "-m", "harness", "run", "--format", "json", "--series", SERIES, "--at", STATE, *argv]
    run = command(words, workspace, environment, watch=watch)
    return run, json.loads(run.output)


def median(values: Sequence[Run], what: Callable[[Run], float]) -> float:
    return statistics.median(what(value) for value in values)


def load() -> str:
    return f"{os.cpu_count()} processors, load before {os.getloadavg()[0]:.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])
