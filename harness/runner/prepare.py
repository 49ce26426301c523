"""A state made ready: its guest packed around its kernel, its disk made, one guest booted and saved to fork from."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from harness.cache import Cache, digest
from harness.catalogue.model import Catalogue, Filesystem, Suite
from harness.errors import BuildError
from harness.guest import disks, initramfs, programs
from harness.guest.borrowed import borrow
from harness.kernel import selftests, source
from harness.kernel.build import Kernel, build
from harness.kernel.config import Demands, read_demands
from harness.kernel.request import KernelRequest, compose
from harness.machine import accel, channel, snapshot
from harness.machine.command import Disk, Options
from harness.machine.machine import Machine
from harness.machine.outcome import BootError, Ended, RawResult
from harness.machine.zygote import Zygote
from harness.paths import Workspace
from harness.plan import Job, State, newest
from harness.progress import Progress, Step

CONSOLE = "boot.console.log"
KEEP = 100
"""Saved guests that stay in the cache whatever their age; each has some 45 MiB, and is made again in seconds."""
UNUSED = 3 * 3600.0
"""Seconds for which no run may have asked for a saved guest before it is dropped: longer than a run forks it."""
ROOM = 8 << 30
"""Bytes that saved guests may take in the cache: those longest not used go, as some kernels' have 200 MiB."""
USED = 900.0
"""Seconds without a fork of it after which a saved guest may go for others' room."""
SETTLED = 2.2
"""Seconds of a guest's uptime after which nothing that its boot put off is left to do: the last is the choice of its
clock source, a second after the first. Saved earlier, every fork would do it again, in a tenth of its time."""
COUNTERS = "lab/gcov"
"""The program that reads line counters, in guests of kernels that have them."""


@dataclass(frozen=True)
class Wishes:
    """How a run is to be done. ``jobs`` guests at a time; ``config`` are further fragments; ``cold`` forks nothing.

    ``exact`` counts instructions (harness.runner.exact), ``record`` also keeps
    what it takes to run a case again (harness.runner.replay); ``environment`` are NAME=VALUE that programs see.
    ``company``: the suites that this one shares its guest with (harness.runner.company).
    ``notes`` are kept among the manifest's options: which nightly a run belongs to.
    """

    accelerator: str | None = None
    cold: bool = False
    jobs: int = 1
    config: tuple[str, ...] = ()
    exact: bool = False
    record: bool = False
    environment: tuple[str, ...] = ()
    company: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Made:
    """What was made elsewhere and brought here, so that neither a base's source nor a build is needed: kernels by their
    request's identity, the folder of the kselftest headers."""

    kernels: Mapping[str, Kernel]
    selftests: Path


@dataclass(frozen=True)
class Place:
    """Where a run takes place."""

    workspace: Workspace
    catalogue: Catalogue
    cache: Cache
    made: Made | None = None

    def kernel(self, request: KernelRequest, progress: Progress) -> Kernel:
        """The kernel of a request: brought here, in the cache, or built.

        Raises what ``build`` raises.
        """
        if self.made and request.identity in self.made.kernels:
            return self.made.kernels[request.identity]
        return build(request, self.cache, progress)


@dataclass
class Standby:
    """A zygote that cases may be forked from as soon as it is there; ``why`` it never will be.

    ``stopping``: the run is, and nothing that its guests come to counts.
    """

    stopping: threading.Event
    zygote: Zygote | None = None
    why: str = ""

    def give_up(self, why: str) -> None:
        """Fork no more of it."""
        self.zygote, self.why = None, why


@dataclass(frozen=True)
class Ready:
    """A state whose cases can be run. ``unborn`` is set when its guest never came up: then no case can."""

    state: State
    kernel: Kernel
    suite_name: str
    suite: Suite
    programs: tuple[str, ...]
    options: Options
    filesystem: Filesystem | None
    disk: Path | None
    accel: accel.Accel
    cold: bool
    exact: bool = False
    record: bool = False
    snapshot: snapshot.Snapshot | None = None
    unborn: RawResult | None = None
    spare: Path | None = None  # what the guest has as /dev/vdb
    bare: Ready | None = None  # the same guest with nothing mounted and a spare disk, for cases in phases
    standby: Standby | None = None
    shared: bool = False  # its saved guest is other suites' too
    boot_seconds: float = 0.0  # 0 when the guest was saved by an earlier run

    @property
    def waiting(self) -> tuple[str, ...]:
        """The programs that wait in a guest for their case: none where they would see what is mounted later."""
        return () if self.options.later else tuple(f"{self.suite_name}/{name}" for name in self.programs)

    @property
    def saved_waiting(self) -> tuple[str, ...]:
        """Those that are started before the guest is saved: none in one that several suites share."""
        return () if self.shared else self.waiting

    def program_of(self, case: str) -> str:
        """The path of a case's program below /cases of the guest."""
        return f"{self.suite_name}/{self.suite.cases[case].program or self.programs[0]}"


def kernel_request(place: Place, job: Job, state: State, wishes: Wishes) -> KernelRequest:
    """The kernel of a state, with what the job's filesystem needs of it."""
    filesystem = place.catalogue.filesystems[job.scenario.filesystem] if job.scenario.filesystem else None
    return compose(
        place.catalogue,
        state.base,
        [(applied.series, applied.patches) for applied in state.stack],
        fragments=wishes.config,
        options=filesystem.needs if filesystem else (),
    )


def pack(place: Place, job: Job, state: State, kernel: Kernel, wishes: Wishes, folder: Path) -> Ready:
    """A state's guest from its kernel: programs, initramfs, disk, accelerator. ``folder`` takes a probe's console.

    Raises UserError, BuildError or InfraError, each with whose fault it is.
    """
    catalogue, cache = place.catalogue, place.cache
    image = catalogue.images[job.suite.image]
    filesystem = catalogue.filesystems[job.scenario.filesystem] if job.scenario.filesystem else None
    shared = bool(wishes.company) and not (wishes.cold or wishes.exact)
    archive = _initramfs(place, job, kernel, wishes.company if shared else ())
    demands = _demands(catalogue, state.base, wishes)
    memory = image.memory + demands.memory
    cpus = job.suite.cpus or image.cpus
    plain = Options(kernel.vmlinux, archive, memory=memory, cpus=cpus, slower=demands.slower)
    chosen = accel.choose(wishes.accelerator, accel.boot_probe(plain, folder / "probe.console.log"), cache)
    options = replace(
        plain,
        accelerator=chosen.accelerator,
        tsc_khz=chosen.tsc_khz,
        filesystem=filesystem.type if filesystem else "",
        mount=filesystem.mount if filesystem else "",
        extra=tuple(channel.variable(pair) for pair in wishes.environment),
    )
    return Ready(
        state=state,
        kernel=kernel,
        suite_name=job.scenario.suite,
        suite=job.suite,
        programs=program_names(place.workspace, job.scenario.suite, job.suite),
        options=options,
        filesystem=filesystem,
        disk=disks.make(filesystem, cache) if filesystem else None,
        accel=chosen,
        cold=wishes.cold,
        shared=shared,
    )


def _demands(catalogue: Catalogue, base: str, wishes: Wishes) -> Demands:
    """What the fragments of a kernel say that its guest needs."""
    names = dict.fromkeys((*catalogue.bases[base].config, *wishes.config))
    return sum((read_demands(catalogue.fragments[name]) for name in names), start=Demands())


def program_names(workspace: Workspace, name: str, suite: Suite) -> tuple[str, ...]:
    """The programs of a suite: those it declares, else every ``*_test.c`` beside its declaration."""
    folder = workspace.suites / name
    return suite.programs or tuple(sorted(path.stem for path in folder.glob("*_test.c")))


def _initramfs(place: Place, job: Job, kernel: Kernel, company: Sequence[str]) -> Path:
    """The guest's initramfs: the agent, busybox, the image's tools, the programs of the suite and of its company."""
    workspace, cache = place.workspace, place.cache
    image = place.catalogue.images[job.suite.image]
    # In the middle of a series its tools may know more than its headers tell: who only boots needs none.
    tools = image.tools if job.cases else ()
    sources = {f"bin/{name}": workspace.find(f"testcases/tools/{name}.c") for name in tools}
    sources |= _sources(place, job.scenario.suite, job.suite)
    if kernel.notes.is_dir():
        sources[f"cases/{COUNTERS}"] = workspace.find("testcases/tools/gcov.c")
    build_all = partial(
        programs.build_programs, cache=cache,
        headers=kernel.headers, selftests=pinned_headers(place), include=workspace.include,
        late=_late_main(place, job),
    )  # fmt: skip
    built = {**build_all(sources), **borrow(job.suite.host, cache)}
    for name in company:
        with contextlib.suppress(BuildError):  # is said when that suite is run
            built |= build_all(_sources(place, name, place.catalogue.suites[name]))
    agent = workspace.find(f"images/{job.suite.image}/agent.c")
    return initramfs.build(agent, built, cache, headers=kernel.headers, busybox=image.busybox)


def _sources(place: Place, name: str, suite: Suite) -> dict[str, Path]:
    """The programs of a suite, by their path in the guest."""
    folder = place.workspace.suites / name
    return {f"cases/{name}/{each}": folder / f"{each}.c" for each in program_names(place.workspace, name, suite)}


def _late_main(place: Place, job: Job) -> Path | None:
    """What lets programs wait in a saved guest, where the image has it."""
    path = place.workspace.find(f"images/{job.suite.image}/late_main.c")
    return path if path.is_file() else None


def pinned_headers(place: Place) -> Path:
    """The kselftest headers, of the newest base that the workspace declares."""
    if place.made:
        return place.made.selftests
    name = newest(place.catalogue.bases)
    pinned = source.fetch(name, place.catalogue.bases[name], place.cache, root=place.catalogue.root)
    return selftests.folder(pinned, place.cache)


def boot(ready: Ready, cache: Cache, folder: Path, progress: Progress) -> Ready:
    """The state with a booted guest to fork from, or with the boot that failed. Cold guests boot one by one, later.

    ``folder`` takes the console. Raises InfraError when QEMU does not run or does not save.
    """
    if ready.cold:
        return ready
    key = _snapshot_key(ready)
    found = cache.get("snapshots", key)
    if found:
        return replace(ready, snapshot=snapshot.load(found))
    started = time.monotonic()
    try:
        entry = cache.make("snapshots", key, lambda scratch: _boot_and_save(ready, scratch, folder, progress))
    except _UnbornError as exc:
        return replace(ready, unborn=exc.raw)
    cache.trim("snapshots", KEEP, UNUSED)
    cache.bound("snapshots", ROOM, USED)
    return replace(ready, snapshot=snapshot.load(entry), boot_seconds=time.monotonic() - started)


def _snapshot_key(ready: Ready) -> str:
    """Everything the saved guest is made of. Artefacts count by their path: that is their content's key."""
    options = repr(sorted(asdict(ready.options).items()))
    disks = (str(ready.disk), str(ready.spare or ""))
    return digest("snapshot 3", accel.host_key(), ready.kernel.key, *disks, options, *ready.saved_waiting)


class _UnbornError(Exception):
    """The guest that was to be saved never was ready."""

    def __init__(self, raw: RawResult) -> None:
        super().__init__(raw.detail)
        self.raw = raw


def own_disks(ready: Ready, folder: Path) -> tuple[Disk, ...]:
    """Copies in ``folder`` of the disks that a guest of this state begins with: pristine, or as they were saved."""
    if ready.snapshot:
        with contextlib.suppress(OSError):
            os.utime(ready.snapshot.memory.parent)  # it is in use
    sources = ready.snapshot.disks if ready.snapshot else filter(None, (ready.disk, ready.spare))
    names = ("disk.img", "spare.img")
    return tuple(Disk(disks.copy_sparse(source, folder / name)) for source, name in zip(sources, names, strict=False))


def _boot_and_save(ready: Ready, scratch: Path, folder: Path, progress: Progress) -> None:
    progress(Step("boot", note=f"{ready.state.name}: once, to fork from"))
    own = own_disks(ready, scratch)
    memory = snapshot.new_memory(scratch, ready.options)
    options = replace(ready.options, disks=own, save=memory)
    # Of its own: a guest that never came up is told by its console after others have booted beside it.
    console = folder / f"{ready.state.name}-{scratch.name.strip('.')}.{CONSOLE}"
    with Machine(options, console) as machine:
        try:
            machine.wait_ready()
        except BootError as exc:
            raise _UnbornError(
                RawResult(Ended.NO_BOOT, exc.message, console=console, console_to=machine.log.size, argv=machine.argv)
            ) from exc
        machine.keep_waiting(ready.saved_waiting)
        machine.listen(max(0.0, SETTLED - machine.ready_ms / 1000))
        snapshot.save(machine, scratch)
