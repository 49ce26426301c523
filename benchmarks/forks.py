"""Forks one after the other: how soon one speaks, and what 500 of them leave; loaded by a QEMU each, and of a zygote.

A fork is measured from the moment its QEMU is to be started or forked to the first line of its case's output.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import measure, workspace
from harness.cache import Cache
from harness.catalogue.load import load, select
from harness.kernel.build import build
from harness.machine import channel, snapshot
from harness.machine.zygote import Zygote, zygote
from harness.paths import Workspace, cache_root
from harness.plan import Request, plan
from harness.progress import silent
from harness.runner import nursery, prepare
from harness.runner.prepare import Ready


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks forks", description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    asked = parser.parse_args(arguments)
    print(measure.load())
    with tempfile.TemporaryDirectory(prefix="lab-bench.") as scratch:
        folder = Path(scratch)
        ready = get_ready(workspace.make(folder / "workspace", [1]), folder)
        print(measure.table(HEAD, [_row("loaded", ready, folder, asked.count)]))
        with _zygote(ready, folder) as parent:
            print(measure.table(HEAD, [_row("of a zygote", ready, folder, asked.count, parent)]).splitlines()[-1])


HEAD = ("forks", "", "first output, median", "slowest", "gone", "held by the lab: before -> after")


def _row(what: str, ready: Ready, folder: Path, count: int, parent: Zygote | None = None) -> tuple[object, ...]:
    for _ in range(3):
        fork(ready, folder, parent)
    before = _held(folder)
    times = [fork(ready, folder, parent) for _ in range(count)]
    after = _held(folder)
    spoke, whole = (statistics.median(each) for each in zip(*times, strict=True))
    slowest = max(first for first, _ in times)
    held = ", ".join(f"{name} {before[name]} -> {after[name]}" for name in before)
    return count, what, f"{spoke:.3f} s", f"{slowest:.3f} s", f"{whole:.3f} s", held


@contextlib.contextmanager
def _zygote(ready: Ready, folder: Path) -> Iterator[Zygote]:
    place = folder / "zygote"
    place.mkdir()
    assert ready.snapshot is not None
    disks = prepare.own_disks(ready, place)
    library = nursery.library(Cache(cache_root()))
    with zygote(ready.options, ready.snapshot, disks, place / "console.log", library, ready.waiting) as parent:
        yield parent


def get_ready(place: Path, folder: Path, config: tuple[str, ...] = ()) -> Ready:
    """The measured state, booted and saved."""
    found = Workspace(place)
    where = prepare.Place(found, load(found), Cache(cache_root()))
    request = Request(series=workspace.SERIES, at=(workspace.STATE,))
    job = plan(where.catalogue, select(where.catalogue, ["ext4-cases-1"]), request)[0]
    wishes = prepare.Wishes(config=config)
    kernel = build(prepare.kernel_request(where, job, job.states[-1], wishes), where.cache, silent)
    packed = prepare.pack(where, job, job.states[-1], kernel, wishes, folder)
    return prepare.boot(packed, where.cache, folder, silent)


def fork(ready: Ready, folder: Path, parent: Zygote | None = None) -> tuple[float, float]:
    """Seconds to the first output, and until nothing is left of it."""
    saved = parent.snapshot if parent else ready.snapshot
    assert saved is not None
    own = prepare.own_disks(replace(ready, snapshot=saved), folder)
    started = time.monotonic()
    birth = parent.birth if parent else None
    with snapshot.fork(ready.options, saved, own, folder / "console.log", birth) as machine:
        machine.send(channel.run(ready.program_of("case_0"), "case_0", 20))
        while not machine.listen(0.001):
            pass
        spoke = time.monotonic() - started
    return spoke, time.monotonic() - started


def _held(folder: Path) -> dict[str, int]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
        "child processes": len(children),
        "memory, KiB": int(status["VmRSS"].split()[0]),
        "files": sum(path.is_file() for path in folder.rglob("*")),
        "disk, KiB": sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()) // 2,
    }
