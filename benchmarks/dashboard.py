"""How the dashboard grows: a history of N made-up runs, the site's first writing, its second, and what a browser gets.

python -m benchmarks.dashboard --runs 10000
"""

from __future__ import annotations

import argparse
import datetime
import random
import tempfile
import time
from pathlib import Path

from harness.catalogue.model import Expectation, Kind, Status
from harness.dashboard import site
from harness.history.store import History
from harness.results import index, model
from harness.results.run import stamp
from harness.verdict.judge import Outcome

SCENARIOS = [f"{fs}-{suite}" for fs in ("ext4", "xfs", "btrfs", "f2fs", "tmpfs") for suite in ("unlinked", "rmdir")]
CASES = [f"case_{number:02}" for number in range(17)]
STATES = ("without", "with")
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def outcome(chance: random.Random, state: str, bad: bool) -> Outcome:
    seconds = chance.uniform(0.15, 0.4)
    if state == "without":
        return Outcome(status=Status.FAIL, kind=Kind.ASSERTION, reason="EBADF", duration=seconds)
    if bad:
        return Outcome(status=Status.FAIL, kind=Kind.ASSERTION, reason="ENOENT", message="no name", duration=seconds)
    return Outcome(status=Status.PASS, kind=Kind.PASSED, duration=seconds)


def entry(number: int, chance: random.Random) -> index.Entry:
    """Run ``number``: one in a hundred cases fails."""
    scenario = SCENARIOS[number % len(SCENARIOS)]
    begun = stamp(START + datetime.timedelta(minutes=40 * number))
    wanted = {"without": Expectation(status=Status.FAIL, reason="EBADF"), "with": Expectation(status=Status.PASS)}
    cases = []
    for state in STATES:
        for case in CASES:
            bad = chance.random() < 0.01
            met = state == "without" or not bad
            found = outcome(chance, state, bad)
            cases.append(model.CaseResult(case=case, state=state, outcome=found, expected=wanted[state], met=met))
    return index.Entry(
        path=Path(f"/gone/{number:06}-{scenario}"),
        state=index.State.GREEN,
        manifest=model.Manifest(
            scenario=scenario, argv=("lab", "run", scenario), states=STATES, cases=tuple(CASES), created=begun,
            kernels=tuple(model.Kernel(state=state, key=f"{number // 300:06}", label=state) for state in STATES),
            accel=model.Accel(name="tcg"),
        ),
        result=model.RunResult(
            status=model.RunStatus.DONE, scenario=scenario, started=begun, finished=begun, duration=8.0,
            planned=len(cases), cases=tuple(cases),
        ),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    asked = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "site"
        with History(Path(scratch) / "history.db") as history:
            history.db.execute("PRAGMA synchronous = OFF")
            for number in range(asked.runs):
                history.note(entry(number, chance))
            for which in ("first", "second"):
                began = time.monotonic()
                done = site.write(history, folder)
                took = time.monotonic() - began
                print(f"{which:7} {took:7.1f} s   {done.written} pages written, {done.kept} kept")
        for name in ("index.html", "cases.html", "runs.html", "data/runs.js"):
            print(f"{name:14} {(folder / name).stat().st_size / 1024:8.0f} KiB")


if __name__ == "__main__":
    main()
