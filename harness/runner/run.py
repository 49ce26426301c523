"""A job, from its plan to its run folder.

    result = run(place, job, wishes, watcher, argv)

What happens is told to a ``Watcher`` as it happens; the command line has one that draws it.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from harness import process
from harness.catalogue.model import Kind
from harness.history.store import remember
from harness.kernel import source
from harness.kernel.build import Kernel
from harness.machine import command
from harness.machine.command import Disk
from harness.plan import Job, State
from harness.progress import Step
from harness.results import facts, model
from harness.results.run import RunFolder, Terminated, now, stamp
from harness.runner import exact, kept, nursery, phases
from harness.runner.case import run_case
from harness.runner.durations import Durations
from harness.runner.prepare import Place, Ready, Wishes, kernel_request, pack
from harness.runner.together import together
from harness.verdict.judge import judge, not_applicable


class Watcher(Protocol):
    """Who is told of a run."""

    def step(self, step: Step) -> None:
        """A sign of life of long work."""

    def built(self, state: State, kernel: Kernel) -> None:
        """A state's kernel is there."""

    def booted(self, ready: Ready) -> None:
        """A state's guest has booted, or is known not to, or will be booted for every case."""

    def judged(self, result: model.CaseResult, done: int, total: int) -> None:
        """A case has its outcome."""


@dataclass
class Finished:
    """A job's run: its folder and what result.json says."""

    folder: RunFolder
    result: model.RunResult


@dataclass
class _Walk:
    """One job's walk; what its steps share."""

    place: Place
    job: Job
    wishes: Wishes
    watcher: Watcher
    folder: RunFolder
    stopping: threading.Event
    done: int = 0
    guests: int = 0  # kept so far
    durations: Durations = field(init=False)

    def __post_init__(self) -> None:
        self.durations = Durations(self.place.cache, self.job.scenario.name)

    @property
    def applicable(self) -> tuple[str, ...]:
        """The cases that need a guest."""
        return tuple(case for case in self.job.cases if case not in self.job.skipped)

    @property
    def scratch(self) -> Path:
        """Where guests have their disks and consoles while they run."""
        return self.folder.path / ".scratch"

    @property
    def total(self) -> int:
        return len(self.job.cases) * len(self.job.states)


def build_kernels(place: Place, job: Job, wishes: Wishes, watcher: Watcher) -> list[Kernel]:
    """The kernels of a job's states, in their order.

    Raises UserError, SeriesError, BuildError or InfraError.
    """
    kernels = []
    for state in job.states:
        kernel = place.kernel(kernel_request(place, job, state, wishes), watcher.step)
        watcher.built(state, kernel)
        kernels.append(kernel)
    return kernels


def run(
    place: Place,
    job: Job,
    wishes: Wishes,
    watcher: Watcher,
    argv: tuple[str, ...],
    stopping: threading.Event | None = None,
    begun: Callable[[RunFolder], None] | None = None,
) -> Finished:
    """Run a job: every case in every state, each in a guest of its own, judged and kept.

    ``begun`` is told of the folder before the first case.

    ``stopping`` is set by another thread that ends this one's children: then what they said counts for nothing.
    Raises Terminated when stopped so; UserError, SeriesError, BuildError or InfraError. A run folder that was begun
    says so then.
    """
    kernels = build_kernels(place, job, wishes, watcher)
    packed = pack_states(place, job, kernels, wishes)
    manifest, diff = _manifest(place, job, wishes, packed, argv), facts.git_diff(place.workspace.root)
    folder = RunFolder.create(place.workspace.runs, job.scenario.name)
    walk = _Walk(place, job, wishes, watcher, folder, stopping or threading.Event())
    try:
        with folder:
            folder.write_manifest(manifest, diff=diff)
            if begun:
                begun(folder)
            for kernel, state in zip(kernels, job.states, strict=True):
                folder.keep_config(state.name, kernel.config)
            return Finished(folder, _walk(walk, packed))
    finally:
        remember(place.workspace, folder.path)


def _walk(walk: _Walk, packed: list[Ready]) -> model.RunResult:
    with _scratch(walk):
        for case, state in itertools.product(walk.job.skipped, walk.job.states):
            _skip(walk, state, case)
        if walk.applicable:
            ready = _boot_all(walk, packed)
            try:
                _run_cases(walk, ready)
            except CancelledError as exc:
                raise Terminated("the run was stopped") from exc
        walk.durations.keep()
    return walk.folder.finish()


def _boot_all(walk: _Walk, packed: list[Ready]) -> list[Ready]:
    made = []
    for ready in together(walk.wishes.jobs, partial(_boot, walk), packed):
        walk.watcher.booted(ready.bare if ready.bare and ready.snapshot is None else ready)
        made.append(ready)
    return made


def _boot(walk: _Walk, packed: Ready) -> Ready:
    cache, step = walk.place.cache, walk.watcher.step
    return phases.make_ready(packed, walk.job.suite, walk.applicable, cache, walk.scratch, step)


def pack_states(place: Place, job: Job, kernels: list[Kernel], wishes: Wishes) -> list[Ready]:
    """The guests of a job's states, one a kernel, not yet booted. Raises UserError, BuildError or InfraError."""
    with tempfile.TemporaryDirectory(prefix="lab-probe.") as probe:
        states = zip(job.states, kernels, strict=True)
        packed = [pack(place, job, state, kernel, wishes, Path(probe)) for state, kernel in states]
    return [exact.ready(each, place.cache, record=wishes.record) for each in packed] if wishes.exact else packed


@contextlib.contextmanager
def _scratch(walk: _Walk) -> Iterator[None]:
    """The walk's scratch folder is gone with the run."""
    walk.scratch.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(walk.scratch, ignore_errors=True)


def _run_cases(walk: _Walk, ready: list[Ready]) -> None:
    """All cases of all states, so many guests at a time, the longest first."""
    cases = walk.durations.longest_first(walk.applicable)
    crew = object()  # other jobs' guests go on when this job comes to a bad end
    with contextlib.ExitStack() as standing:
        pool = ThreadPoolExecutor(
            walk.wishes.jobs, thread_name_prefix="guest", initializer=process.enlist, initargs=(crew,)
        )
        ready = [_with_zygotes(walk, each, crew, standing) for each in ready]
        standing.enter_context(pool)
        jobs = [(each, case) for case in cases for each in ready]
        pending = {pool.submit(_run_one, walk, each, case) for each, case in jobs}
        try:
            _collect(walk, pending)
        except BaseException:
            walk.stopping.set()
            for future in pending:
                future.cancel()
            process.kill_all(crew)
            raise


def _with_zygotes(walk: _Walk, ready: Ready, crew: object, standing: contextlib.ExitStack) -> Ready:
    """The state with a zygote on its way for each of its guests that many cases share."""
    suite, cases = walk.job.suite, walk.applicable
    shared = (walk.place.cache, walk.scratch, crew, walk.stopping)
    phased = phases.among(suite, cases)
    found = standing.enter_context(nursery.standby(ready, len(cases) - len(phased), *shared))
    if found.bare is None:
        return found
    bare = standing.enter_context(nursery.standby(found.bare, phases.guests(suite, cases), *shared))
    return replace(found, bare=bare)


def _collect(walk: _Walk, pending: set[Future[model.CaseResult]]) -> None:
    while pending:
        finished, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in finished:
            pending.discard(future)
            walk.done += 1
            walk.watcher.judged(future.result(), walk.done, walk.total)


def _run_one(walk: _Walk, ready: Ready, case: str) -> model.CaseResult:
    own = walk.scratch / f"{ready.state.name}-{case}"
    own.mkdir()
    expected = walk.job.expectation(case, ready.state)
    wanted = expected if walk.guests < kept.MOST else None
    done = run_case(ready, walk.job.suite, case, own, walk.watcher.step, wanted)
    if walk.stopping.is_set():
        raise CancelledError  # its guest was killed with the run: that says nothing about the case
    walk.durations.note(case, done.record.duration)
    outcome = judge(done.record)
    files = (*done.kept, *(done.recording if outcome.kind is not Kind.PASSED else ()))
    walk.guests += any(path.name == kept.STATE for path in done.kept)
    result = walk.folder.add(done.record, outcome, expected, done.disk, files)
    shutil.rmtree(own, ignore_errors=True)
    return result


def _skip(walk: _Walk, state: State, case: str) -> None:
    """A case that cannot apply here needs no guest; it is shown all the same."""
    record = not_applicable(case, state.name, walk.job.skipped[case])
    result = walk.folder.add(record, judge(record), walk.job.expectation(case, state))
    walk.done += 1
    walk.watcher.judged(result, walk.done, walk.total)


def _manifest(place: Place, job: Job, wishes: Wishes, packed: list[Ready], argv: tuple[str, ...]) -> model.Manifest:
    sandboxed = process.sandbox_works()
    return model.Manifest(
        scenario=job.scenario.name,
        argv=argv,
        states=tuple(state.name for state in job.states),
        cases=job.cases,
        created=stamp(now()),
        options={
            "guests": "exact" if wishes.exact else "cold" if wishes.cold else "forked",
            "jobs": str(wishes.jobs),
            "config": " ".join(wishes.config),
            "environment": " ".join(wishes.environment),
            **dict(wishes.notes),
        },
        tools=facts.tools(),
        workspace=facts.git_state(place.workspace.root),
        kernels=tuple(described(place, each, wishes) for each in packed),
        accel=model.Accel(name=packed[0].accel.accelerator.value, reason=packed[0].accel.reason),
        sandbox=model.Sandbox(used=sandboxed, reason="" if sandboxed else "bubblewrap cannot make its namespaces here"),
        qemu={each.state.name: tuple(command.by_hand(_with_disk(each))) for each in packed},
    )


def _commit_of(place: Place, ready: Ready) -> str:
    """The base's commit: of a git base the one that everybody knows, else that of the import."""
    declared = place.catalogue.bases.get(ready.state.base)
    theirs = source.commit_of(declared, place.catalogue.root) if declared and not place.made else ""
    return theirs or ready.kernel.facts.source.commit


def described(place: Place, ready: Ready, wishes: Wishes) -> model.Kernel:
    """A state's kernel as a manifest has it."""
    return model.Kernel(
        state=ready.state.name,
        key=ready.kernel.key,
        label=ready.kernel.label,
        release=ready.kernel.release,
        base=ready.state.base,
        source=_commit_of(place, ready),
        stack=tuple(applied.label for applied in ready.state.stack),
        config=wishes.config,
    )


def _with_disk(ready: Ready) -> command.Options:
    return replace(ready.options, disks=(Disk(ready.disk),) if ready.disk else ())
