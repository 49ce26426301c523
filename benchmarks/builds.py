"""What a kernel, a boot and a fork cost: build cold, nothing changed, one patch changed, one header changed.

Builds go into a cache of their own, with ccache of its own: a cold build really is one (minutes of all processors).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import forks, measure, workspace
from harness.machine.command import Disk
from harness.machine.machine import Machine
from harness.runner import prepare
from harness.runner.prepare import Ready

SCENARIO = "ext4-cases-1"
PATCHED = {
    "one patch changed": "fs/ext4/namei.c",
    "one header changed": "include/linux/fs.h",
}
"""What a patch of one more line touches: a file of one filesystem, and what most of a kernel includes."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks builds", description=__doc__)
    parser.add_argument("--no-kernels", action="store_true", help="only boots and forks")
    parser.add_argument("--repeat", type=int, default=9, help="boots and forks")
    asked = parser.parse_args(arguments)
    print(f"{measure.load()}\n")
    with tempfile.TemporaryDirectory(prefix="lab-bench.") as scratch:
        folder = Path(scratch)
        place = workspace.make(folder / "workspace", [1])
        rows = [*_guests(forks.get_ready(place, folder), folder, asked.repeat)]
        if not asked.no_kernels:
            rows += _kernels(place, folder)
    print(measure.table(("what", "seconds", "processor seconds"), rows))


def _guests(ready: Ready, folder: Path, repeat: int) -> list[tuple[str, str, str]]:
    cold = statistics.median(_cold(ready, folder) for _ in range(repeat))
    times = [forks.fork(ready, folder) for _ in range(repeat)]
    spoke = statistics.median(first for first, _ in times)
    return [
        ("cold boot to ready", f"{cold:.2f}", ""),
        ("fork to first output", f"{spoke:.3f}", ""),
    ]


def _cold(ready: Ready, folder: Path) -> float:
    options = dataclasses.replace(
        ready.options, disks=tuple(Disk(disk.path) for disk in prepare.own_disks(ready, folder))
    )
    started = time.monotonic()
    with Machine(options, folder / "console.log") as machine:
        machine.wait_ready()
        return time.monotonic() - started


def _kernels(place: Path, folder: Path) -> list[tuple[str, str, str]]:
    environment = os.environ | {
        "LAB_WORKSPACE": str(place), "LAB_CACHE": str(folder / "cache"), "PYTHONPATH": str(workspace.TREE),
    }  # fmt: skip
    argv = [sys.executable, "-m", "harness", "build", SCENARIO, "--series", workspace.SERIES, "--at", workspace.STATE]

    def build(what: str) -> tuple[str, str, str]:
        run = measure.command(argv, place, environment)
        return f"build, {what}", f"{run.seconds:.1f}", f"{run.processor:.1f}"

    rows = [build("cold, with the source"), build("nothing changed")]
    for what, path in PATCHED.items():
        _add_patch(place, path)
        rows.append(build(what))
    return rows


def _add_patch(place: Path, path: str) -> None:
    """One more patch at the end of what the measured state has: a comment on top of a file."""
    series = place / "kernel-patches" / "checkpoint-core"
    first = "// SPDX-License-Identifier: GPL-2.0" if path.endswith(".c") else "/* SPDX-License-Identifier: GPL-2.0 */"
    name = f"9{len(list(series.glob('9*')))}-{Path(path).name}.patch"
    (series / name).write_text(
        f"From: A <a@example.org>\nSubject: [PATCH] a comment\n\n---\ndiff --git a/{path} b/{path}\n"
        f"--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n {first}\n+/* measured */\n"
    )
    order = series / "series"
    if order.is_file():
        order.write_text(order.read_text() + name + "\n")
