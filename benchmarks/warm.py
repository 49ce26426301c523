"""How long a person waits: `lab run` of 1, 10 and 100 small cases as it is typed, forked and cold.

Also when the first guest was started, and how much of the processor's time went elsewhere than to QEMU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import measure, workspace


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks warm", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--no-cold", action="store_true", help="only forked guests")
    asked = parser.parse_args(arguments)
    print(f"{measure.load()}, medians of {asked.repeat}\n")
    with tempfile.TemporaryDirectory(prefix="lab-bench.") as scratch:
        folder = workspace.make(Path(scratch), asked.counts)
        rows = [_row(folder, count, asked) for count in asked.counts]
    head = ("cases", "forked", "first guest after", "processor", "of it not QEMU", "cold", "cold / forked")
    print(measure.table(head, rows))


def _row(folder: Path, count: int, asked: argparse.Namespace) -> tuple[object, ...]:
    scenario = f"ext4-cases-{count}"
    measure.lab(folder, scenario)  # boots and saves
    forked = [measure.lab(folder, scenario, watch=True)[0] for _ in range(asked.repeat)]
    cold = []
    if not asked.no_cold:
        cold = [measure.lab(folder, scenario, "--cold")[0] for _ in range(1 if count > 10 else asked.repeat)]
    seconds = measure.median(forked, lambda run: run.seconds)
    processor = measure.median(forked, lambda run: run.processor)
    slow = measure.median(cold, lambda run: run.seconds) if cold else 0.0
    return (
        count, f"{seconds:.2f} s", f"{measure.median(forked, lambda run: run.first):.2f} s", f"{processor:.2f} s",
        f"{measure.median(forked, lambda run: run.own):.2f} s",
        f"{slow:.2f} s" if cold else "", f"{slow / seconds:.1f}" if cold else "",
    )  # fmt: skip
