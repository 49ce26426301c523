"""What a person waits for on a new machine: `./lab run` in a fresh clone with an empty cache, beside `make` alone.

`make` is told to make the same (`vmlinux headers`) of the same source with the same configuration, without ccache, and
then all else that it makes by itself. Takes as long as three kernels, and 5 GB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.workspace import TREE
from harness.kernel.tree import REPRODUCIBLE


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks first", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="ext4-unlinked")
    asked = parser.parse_args(arguments)
    print(f"{measure.load()}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="lab-bench.") as scratch:
        folder = Path(scratch)
        subprocess.run(["git", "clone", "--quiet", str(TREE), str(folder / "clone")], check=True)
        first = list(_run(asked.scenario, folder))
        bare = list(_bare(folder))
        again = list(_run(asked.scenario, folder))
    rows = [(f"lab: {what}", f"{seconds:.1f}", "") for what, seconds in first]
    rows += [(f"make: {what}", f"{seconds:.1f}", f"{processor:.1f}") for what, seconds, processor in bare]
    total = sum(seconds for _, seconds in first)
    rows.append(("lab in all", f"{total:.1f}", ""))
    rows.append(("more than make", f"{total - bare[0][1]:.1f}", ""))
    rows.append(("lab again", f"{sum(seconds for _, seconds in again):.1f}", ""))
    print(measure.table(("what", "seconds", "processor seconds"), rows))


def _run(scenario: str, folder: Path) -> Iterator[tuple[str, float]]:
    """The stages of a run as it tells them, and the seconds of each. Ends the benchmark when the run fails."""
    environment = os.environ | {"LAB_CACHE": str(folder / "cache")}
    stage, began = "start", time.monotonic()
    with subprocess.Popen(
        ["./lab", "run", scenario],
        cwd=folder / "clone", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            now = time.monotonic()
            if line.startswith(("... ", "setting up ", "kernel ")):
                yield stage, now - began
                stage, began = line.removeprefix("... ").split("  ")[0].strip(), now
    yield stage, time.monotonic() - began
    if child.returncode != 0:
        sys.exit(f"./lab run {scenario} exited with {child.returncode}")


def _bare(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Make alone, out of tree, in the source as it was left, with the configuration of the kernels: what it makes, the
    seconds, those of the processors.
    """
    [source] = (folder / "cache" / "trees").glob("*/linux")
    config = next((folder / "cache" / "kernels").glob("*/config"))
    out = folder / "bare"
    out.mkdir()
    shutil.copyfile(config, out / ".config")
    _make(source, out, "olddefconfig")
    for what, targets in (("vmlinux headers", ["vmlinux", "headers"]), ("all else", [])):
        before, began = _children(), time.monotonic()
        _make(source, out, *targets)
        yield what, time.monotonic() - began, _children() - before


def _make(source: Path, out: Path, *targets: str) -> None:
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    argv = ["make", f"O={out}", "ARCH=x86", "CC=gcc", "HOSTCC=gcc", jobs, *targets]
    with (out / "make.log").open("w") as log:
        subprocess.run(argv, cwd=source, env=os.environ | REPRODUCIBLE, stdout=log, stderr=log, check=True)


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system
