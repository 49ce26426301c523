"""A night on this machine: one build at a time on the cores that guests leave, everything else a core each."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from harness import process
from harness.errors import LabError
from harness.kernel.build import build
from harness.kernel.request import KernelRequest
from harness.nightly.errand import carry_out, failed
from harness.nightly.schedule import Task, cores_for_build
from harness.nightly.walk import Crash, Told
from harness.nightly.work import Errand, Report
from harness.runner.prepare import Place


class Local:
    """An ``Executor``. Threads wait; what works are make and QEMU."""

    def __init__(
        self, place: Place, requests: Mapping[str, KernelRequest], told: Told, cores: int | None = None
    ) -> None:
        self.cores = cores or len(os.sched_getaffinity(0))
        self._place = place
        self._requests = requests
        self.remarks: list[str] = []
        self._told = told
        self._free = self.cores
        self._building = False
        self._done: queue.SimpleQueue[tuple[Report | BaseException, int]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(self.cores + 1, thread_name_prefix="night")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stopping.set()
            process.kill_all()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def can_start(self, task: Task) -> bool:
        return self._free > 0 and not (task.build and self._building)

    def start(self, task: Task, errand: Errand | None, others_ready: bool) -> None:
        cores = cores_for_build(self._free, others_ready) if task.build else 1
        self._free -= cores
        self._building = self._building or task.build
        self._pool.submit(self._carry_out, task, errand, cores)

    def wait(self, seconds: float) -> Report | None:
        """The next report; None when there is none within so many seconds.

        Raises what a job raised that it must not.
        """
        try:
            report, cores = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self._free += cores
        if isinstance(report, BaseException):
            raise report
        if report.errand is None:
            self._building = False
        return report

    def _carry_out(self, task: Task, errand: Errand | None, cores: int) -> None:
        try:
            report = self._run(errand) if errand else self._build(task.name, cores)
        except Exception as exc:  # a fault of the lab itself: it must not look like a job that never ends
            crash = Crash(f"{task.name}: {type(exc).__name__}: {exc}")
            crash.__cause__ = exc
            self._done.put((crash, cores))
        except BaseException as exc:
            self._done.put((exc, cores))
        else:
            self._done.put((report, cores))

    def _run(self, errand: Errand) -> Report:
        return carry_out(self._place, errand, lambda step: self._told.step(errand.name, step), self._stopping)

    def _build(self, identity: str, cores: int) -> Report:
        request = self._requests[identity]
        try:
            kernel = build(request, self._place.cache, lambda step: self._told.step(identity, step), jobs=cores)
        except LabError as exc:
            return failed(identity, exc)
        return Report(name=identity, seconds=kernel.seconds)
