"""A night on the workers of a dask cluster. What a host that dies had begun, dask begins elsewhere.

Nothing is counted twice: a run is stored here, once, when its task's result arrives, whoever computed it.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from harness import process
from harness.errors import InfraError, LabError, UserError
from harness.history.store import remember
from harness.kernel import build as kernels
from harness.kernel.request import KernelRequest
from harness.nightly.cluster import parcel, worker
from harness.nightly.cluster.home import Home
from harness.nightly.cluster.offer import BUILD, RUN, Host, Kernel, Offer, Parcel, own_code
from harness.nightly.cluster.reach import members
from harness.nightly.cluster.remote import remote
from harness.nightly.errand import cell_of, failed
from harness.nightly.estimate import Needed, requests_of
from harness.nightly.schedule import Task
from harness.nightly.walk import Told
from harness.nightly.work import Errand, Report
from harness.progress import Step
from harness.runner.prepare import Place, pinned_headers

SHIPPED = ("kernel-patches", "testcases", "images")
"""What of a workspace travels."""
AHEAD = 3
"""Jobs a core that are given to the scheduler: enough that no core waits, few enough that the longest go first."""


class Cluster:
    """An ``Executor`` over a connected dask client."""

    def __init__(self, client: Any, place: Place, needed: Needed, told: Told, night: str) -> None:
        self.remarks: list[str] = []
        self._client = client
        self._place = place
        self._requests = dict(needed.requests)
        self._keys = {identity: kernel.key for identity, kernel in needed.there.items()}
        self._told = told
        self._running: dict[str, Any] = {}
        self._building: set[str] = set()
        self._done: queue.SimpleQueue[tuple[Task, Errand | None, Any]] = queue.SimpleQueue()
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="build")
        self._stopping = threading.Event()
        self.hosts = _hosts(client)
        self._seen = set(self._workers())
        self._home = Home(client, night)
        self._sent: dict[tuple[str, str], Parcel] = {}
        self._workspace = self._send_workspace()
        self._selftests = self._send("selftests", pinned_headers(place))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._client.cancel(list(self._running.values()), force=True)
            self._client.run(worker.stop, workers=list(self._workers()), on_error="ignore")
            process.kill_all()
        self._builder.shutdown(wait=True, cancel_futures=True)
        self._home.close()

    @property
    def cores(self) -> int:
        return cores(self._client)

    def can_start(self, task: Task) -> bool:
        if task.build:
            return len(self._building) < max(1, len(self._builders()))
        return len(self._running) - len(self._building) < self.cores * AHEAD

    def start(self, task: Task, errand: Errand | None, others_ready: bool) -> None:
        if errand is None:
            self._building.add(task.name)
            self._start_build(task)
        else:
            offer = msgspec.json.encode(self._offer(errand))
            self._submit(task, errand, "carry", msgspec.json.encode(errand), offer, RUN)

    def wait(self, seconds: float) -> Report | None:
        """The next report; None when there is none within so many seconds.

        Raises InfraError when no host is left.
        """
        self._look_for_the_lost()
        try:
            task, errand, future = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self._running.pop(task.name, None)
        if errand is None:
            return self._built(task, future)
        return self._ran(task, errand, future)

    def _workers(self) -> dict[str, dict[str, Any]]:
        """The hosts' workers by address, as the scheduler has them now; home is none of them."""
        return _workers(self._client)

    def _builders(self) -> list[str]:
        return [address for address, each in self._workers().items() if each["resources"].get(BUILD)]

    def _look_for_the_lost(self) -> None:
        now = self._workers()
        for address in self._seen - set(now):
            name = self.hosts[address].name if address in self.hosts else address
            self.remarks.append(f"{name} was lost: what it had begun was run elsewhere")
            self._told.remark(self.remarks[-1])
        self._seen = set(now)
        if not now:
            raise InfraError("no host of the cluster is left", hint="`lab nightly --resume --cluster ...` goes on")

    def _submit(self, task: Task, errand: Errand | None, function: str, what: bytes, offer: bytes, needs: str) -> None:
        future = self._client.submit(
            remote(f"{worker.__name__}.{function}"),
            what,
            offer,
            pure=False,
            resources={needs: 1},
            priority=task.seconds,
            retries=0,
        )
        self._running[task.name] = future
        future.add_done_callback(lambda done: self._done.put((task, errand, done)))

    def _offer(self, errand: Errand | None) -> Offer:
        sent: dict[str, Parcel] = {}
        for identity in requests_of(self._place, cell_of(errand)) if errand else ():
            sent[identity] = self._send("kernels", self._place.cache.path("kernels", self._keys[identity]))
        return Offer(workspace=self._workspace, selftests=self._selftests, kernels=sent)

    def _send(self, kind: str, folder: Path) -> Parcel:
        if (kind, folder.name) not in self._sent:
            self._sent[kind, folder.name] = self._home.publish(kind, folder.name, parcel.pack(folder))
        return self._sent[kind, folder.name]

    def _send_workspace(self) -> Parcel:
        data = parcel.pack(self._place.workspace.root, SHIPPED, leave=("__pycache__",))
        key = parcel.seal(data)[:16]
        return self._home.publish("workspaces", key, data)

    def _start_build(self, task: Task) -> None:
        """Where there is room: on a host that builds when it can get at the source itself, else here."""
        request = self._requests[task.name]
        if self._builders() and not (request.base.git or request.base.tarball):
            asked, offer = _by_name(task.name, request), self._offer(None)
            self._submit(task, None, "build", msgspec.json.encode(asked), msgspec.json.encode(offer), BUILD)
        else:
            self._build_here(task)

    def _build_here(self, task: Task) -> None:
        def build() -> Report:
            try:
                kernel = kernels.build(
                    self._requests[task.name], self._place.cache, lambda step: self._told.step(task.name, step)
                )
            except LabError as exc:
                return failed(task.name, exc)
            return Report(name=task.name, run=kernel.key, seconds=kernel.seconds)

        self._told.step(task.name, Step("build", note="here"))
        self._builder.submit(build).add_done_callback(lambda done: self._done.put((task, None, done)))

    def _built(self, task: Task, future: Any) -> Report | None:
        try:
            result = future.result()
        except Exception as exc:  # the host died more often than dask allows, or the lab is at fault
            return self._give_up(task, None, exc)
        report = result if isinstance(result, Report) else msgspec.json.decode(result[0], type=Report)
        if not report.good and not isinstance(result, Report) and report.code != 3:
            why = report.error.splitlines()[0]
            self._told.remark(f"{report.host} could not build a kernel, which is built here: {why}")
            self._build_here(task)
            return None
        if report.good and not isinstance(result, Report):
            data: bytes = result[1]
            self._place.cache.make("kernels", report.run, lambda scratch: parcel.unpack(data, scratch))
        self._building.discard(task.name)
        if report.good:
            self._keys[task.name] = report.run
        return msgspec.structs.replace(report, run="")

    def _ran(self, task: Task, errand: Errand, future: Any) -> Report:
        try:
            said, data = future.result()
        except Exception as exc:
            return self._give_up(task, errand, exc)
        report = msgspec.json.decode(said, type=Report)
        return self._keep(report, data) if data else report

    def _give_up(self, task: Task, errand: Errand | None, exc: Exception) -> Report:
        self._building.discard(task.name)
        text = f"{type(exc).__name__}: {exc}"
        return Report(name=task.name, errand=errand, error=text, whose="infrastructure", code=InfraError.exit_code)

    def _keep(self, report: Report, data: bytes) -> Report:
        """The run's folder, under a name that is free here, and in the memory."""
        runs = self._place.workspace.runs
        runs.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".arriving.", dir=runs))
        try:
            parcel.unpack(data, scratch)
            scratch.chmod(0o755)
            target = _free(runs, report.run)
            scratch.rename(target)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        remember(self._place.workspace, target)
        return msgspec.structs.replace(report, run=target.name)


def _workers(client: Any) -> dict[str, dict[str, Any]]:
    return {address: each for address, each in members(client).items() if each.get("resources", {}).get(RUN)}


def cores(client: Any) -> int:
    """How many cells the workers of a client run at once."""
    return max(1, sum(int(each["resources"][RUN]) for each in _workers(client).values()))


def _free(runs: Path, name: str) -> Path:
    """A name that no run has here: two hosts may run the same scenario in the same second."""
    number = 1
    while (path := runs / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path


def _by_name(identity: str, request: KernelRequest) -> Kernel:
    stack = tuple((each.series, None if each.whole else len(each.patches)) for each in request.applied)
    fragments = tuple(path.stem for path in request.fragments)
    return Kernel(identity=identity, base=request.name, stack=stack, fragments=fragments, options=request.options)


def _hosts(client: Any) -> dict[str, Host]:
    """What the workers say of themselves, by address.

    Raises InfraError when there is none, UserError when one runs another version of the lab.
    """
    said = client.run(worker.host, workers=list(_workers(client)), on_error="return")
    # One that dies while it is asked has no answer: the scheduler will miss it soon enough.
    good = {address: each for address, each in said.items() if isinstance(each, bytes)}
    hosts = {address: msgspec.json.decode(each, type=Host) for address, each in good.items()}
    if not hosts:
        raise InfraError("the cluster has no worker", hint="`lab worker ADDRESS` starts one on each host")
    own = own_code()
    for each in hosts.values():
        if each.code != own:
            raise UserError(
                f"{each.name} runs another version of the lab", hint="its verdicts would be of other rules: update it"
            )
    return hosts
