"""A scenario's run, or the one that an earlier review made of the very same: kernels, programs, declarations, lab."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import msgspec

import harness
from harness.cache import digest, digest_tree
from harness.kernel.build import Kernel
from harness.machine.accel import host_key
from harness.plan import Job
from harness.results import index
from harness.results.model import Manifest, RunResult
from harness.runner.prepare import Place, Wishes
from harness.runner.run import Watcher, build_kernels, run


@dataclass(frozen=True)
class Done:
    """A run that was made or found."""

    folder: Path
    manifest: Manifest
    result: RunResult
    recalled: bool


def run_once(
    place: Place, job: Job, wishes: Wishes, watcher: Watcher, argv: tuple[str, ...], *, fresh: bool = False
) -> Done:
    """The job's run: from the results when it was done before, with just these ingredients, and came to its end.

    Raises what ``run`` raises.
    """
    key = _key(place, job, wishes, build_kernels(place, job, wishes, watcher))
    note = place.cache.root / "reviewed" / key
    if not fresh and (found := _found(place, note)):
        return found
    finished = run(place, job, wishes, watcher, argv)
    entry = index.entry(finished.folder.path)
    assert entry.manifest is not None
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(finished.folder.path.name)
    return Done(finished.folder.path, entry.manifest, finished.result, False)


def _found(place: Place, note: Path) -> Done | None:
    if not note.is_file():
        return None
    folder = place.workspace.runs / note.read_text().strip()
    if not folder.is_dir():
        return None
    entry = index.entry(folder)
    if entry.manifest is None or entry.result is None or len(entry.result.cases) < entry.result.planned:
        return None
    return Done(folder, entry.manifest, entry.result, True)


def _key(place: Place, job: Job, wishes: Wishes, kernels: list[Kernel]) -> str:
    """Everything that decides what comes out. Suites and images count whole: less would be guessing."""
    workspace = place.workspace
    folders = (workspace.suites / job.scenario.suite, *workspace.include, *_shared(place))
    filesystem = place.catalogue.filesystems.get(job.scenario.filesystem or "")
    return digest(
        "recall 1", host_key(), _lab(), *(kernel.key for kernel in kernels),
        *(digest_tree(folder) for folder in folders if folder.is_dir()),
        repr(job.scenario), repr(job.cases), *(state.name for state in job.states),
        msgspec.json.encode(job.suite), msgspec.json.encode(filesystem), repr(wishes),
    )  # fmt: skip


def _shared(place: Place) -> tuple[Path, ...]:
    names = ("images", "testcases/tools")
    return tuple(layer / name for layer in place.workspace.layers for name in names)


@functools.cache
def _lab() -> str:
    """The lab itself: another judge may come to another judgement."""
    return digest_tree(Path(harness.__file__).parent)
