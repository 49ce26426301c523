"""Cases on a kernel that counts which lines ran: zero before the case, read out after it, in the same guest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.kernel.build import Kernel
from harness.machine import snapshot
from harness.machine.outcome import Ended
from harness.plan import Job
from harness.runner.prepare import COUNTERS, Place, Ready, Wishes, boot, own_disks, pack
from harness.runner.record import program_of
from harness.runner.run import Watcher

RESET, READ, NOTHING = "reset", "read", "nothing"
SECONDS = 30.0


def guest(place: Place, job: Job, kernel: Kernel, wishes: Wishes) -> Ready:
    """The guest of a job's last state on ``kernel``, not yet booted. Raises what ``pack`` raises."""
    with tempfile.TemporaryDirectory(prefix="lab-probe.") as probe:
        return pack(place, job, job.states[-1], kernel, wishes, Path(probe))


def run(packed: Ready, place: Place, job: Job, wishes: Wishes, watcher: Watcher) -> Iterator[tuple[str, str]]:
    """What the counters' program printed after each case of the job.

    First comes "", a program that does nothing: what ran there runs for everybody. A case whose guest did not live on
    says nothing. Cases in phases are left out: their guests end on purpose. Raises what ``boot`` raises.
    """
    with tempfile.TemporaryDirectory(prefix="lab-counters.") as scratch:
        folder = Path(scratch)
        ready = boot(packed, place.cache, folder, watcher.step)
        if ready.snapshot is None:
            return
        yield "", _one(ready, COUNTERS, NOTHING, SECONDS, folder / "nothing")
        cases = [case for case in job.cases if _counts(job, case)]
        with ThreadPoolExecutor(wishes.jobs, thread_name_prefix="guest") as pool:
            yield from zip(cases, pool.map(lambda case: _case(ready, job, case, folder / "case"), cases), strict=True)


def _counts(job: Job, case: str) -> bool:
    own = job.suite.cases[case]
    return not own.phases and not own.cuts and case not in job.skipped


def _case(ready: Ready, job: Job, case: str, folder: Path) -> str:
    return _one(ready, *program_of(ready, job.suite, case), folder.with_name(f"case-{case}"))


def _one(ready: Ready, program: str, test: str, seconds: float, folder: Path) -> str:
    folder.mkdir()
    assert ready.snapshot is not None
    with snapshot.fork(ready.options, ready.snapshot, own_disks(ready, folder), folder / "console.log") as machine:
        for each, what, limit in ((COUNTERS, RESET, SECONDS), (program, test, seconds)):
            if machine.run_case(each, what, limit).ended is not Ended.DONE:
                return ""
        return machine.run_case(COUNTERS, READ, SECONDS).ktap
