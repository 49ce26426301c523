"""What a case does on a kernel, in a guest: run once, and known from then on.

    done = run_once(place, job, wishes, watcher, argv)
    done.verdicts[0].result, done.verdicts[0].run       # and the run folder that it stands in
    done.verdicts[0].since                              # when, if an earlier run found it out

A verdict's key is the content of all that decides it: the kernel's bytes, the guest's, the disk, what is declared of
the case, QEMU, the lab itself. So a series whose last patch changed has its first ones not run again, and a patch that
changes no byte of the kernel has the verdicts of the one before it. Each says where it is from.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

import harness
from harness.cache import digest, digest_file, digest_tree
from harness.catalogue.model import Status
from harness.errors import LabError
from harness.kernel.build import Kernel
from harness.machine.accel import host_key
from harness.plan import Job, State
from harness.progress import Step
from harness.results import files, index, model
from harness.results.run import RunFolder, now, stamp
from harness.runner.prepare import Place, Ready, Wishes
from harness.runner.run import Watcher, build_kernels, described, pack_states, run
from harness.verdict.judge import meets

KNOWN = "reviewed"
"""The cache's folder of notes, one a verdict."""


class Note(msgspec.Struct, frozen=True):
    """Where a verdict stands: the run folder's name, the case's folder in it, and when it was found out."""

    run: str
    folder: str
    when: str


@dataclass(frozen=True)
class Verdict:
    """A case in a state. ``since`` is when an earlier run found it out, "" when this one did.

    ``like`` is another state of the job, whose kernel is this one's byte for byte: it was run there.
    """

    result: model.CaseResult
    run: str
    since: str = ""
    like: str = ""


@dataclass(frozen=True)
class Done:
    """A job with all its verdicts, by state and then by case as the job has them."""

    job: Job
    verdicts: tuple[Verdict, ...]
    kernels: tuple[model.Kernel, ...]
    accel: model.Accel

    def of(self, case: str) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.result.case == case)


def run_once(
    place: Place,
    job: Job,
    wishes: Wishes,
    watcher: Watcher,
    argv: tuple[str, ...],
    *,
    fresh: bool = False,
    nth: int = 0,
    company: tuple[str, ...] = (),
) -> Done:
    """The job's verdicts: those that are known, and for the others a run. ``fresh`` runs all of them.

    ``nth`` counts runs of the same that are wanted each for itself; ``company`` shares the guests of the run, and is
    no part of what decides. Raises what ``run`` raises; what was found out
    until then is known.
    """
    kernels = build_kernels(place, job, wishes, watcher)
    packed = pack_states(place, job, kernels, wishes)
    keys = {
        (each.state.name, case): verdict_key(place, job, kernel, each, case, nth)
        for kernel, each in zip(kernels, packed, strict=True)
        for case in job.cases
    }
    book = _Book(place, {} if fresh else dict(_known(place, keys.values())))
    first = {key: pair for pair, key in reversed(keys.items())}
    lacking = {pair for key, pair in first.items() if key not in book.known}
    for part in _parts(job, lacking):
        scribe = _Scribe(watcher, book, keys)
        run(place, part, replace(wishes, company=company), scribe, argv, begun=scribe.begun)
    return Done(
        job,
        tuple(_verdict(job, book, keys, first, pair) for pair in keys),
        tuple(described(place, each, wishes) for each in packed),
        model.Accel(name=packed[0].accel.accelerator.value, reason=packed[0].accel.reason),
    )


@dataclass
class _Book:
    """What is known: by earlier runs (``known``), and by those of this call (``made``)."""

    place: Place
    known: dict[str, tuple[Note, model.CaseResult]]
    made: dict[str, tuple[Note, model.CaseResult]] = field(default_factory=dict)

    def write(self, key: str, note: Note, result: model.CaseResult) -> None:
        """An error is nobody's verdict: it is told, and the next review tries again."""
        self.made[key] = (note, result)
        if result.outcome.status is Status.ERROR:
            return
        path = self.place.cache.root / KNOWN / key
        with files.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, msgspec.json.encode(note))


@dataclass
class _Scribe:
    """A ``Watcher`` that notes each verdict when it comes, so that a review that is stopped goes on behind it."""

    watcher: Watcher
    book: _Book
    keys: Mapping[tuple[str, str], str]
    run: str = ""

    def begun(self, folder: RunFolder) -> None:
        self.run = folder.path.name

    def step(self, step: Step) -> None:
        self.watcher.step(step)

    def built(self, state: State, kernel: Kernel) -> None:
        self.watcher.built(state, kernel)

    def booted(self, ready: Ready) -> None:
        self.watcher.booted(ready)

    def judged(self, result: model.CaseResult, done: int, total: int) -> None:
        note = Note(self.run, result.folder, stamp(now()))
        self.book.write(self.keys[result.state, result.case], note, result)
        self.watcher.judged(result, done, total)


def _known(place: Place, keys: Iterable[str]) -> Iterator[tuple[str, tuple[Note, model.CaseResult]]]:
    """What earlier runs found out, as far as their folders are still there."""
    for key in set(keys):
        with contextlib.suppress(OSError, LabError, msgspec.MsgspecError):
            note = msgspec.json.decode((place.cache.root / KNOWN / key).read_bytes(), type=Note)
            yield key, (note, index.outcome(place.workspace.runs / note.run / note.folder))


def _parts(job: Job, lacking: set[tuple[str, str]]) -> Iterator[Job]:
    """The job cut to what is lacking: states that lack the same cases together."""
    alike: dict[tuple[str, ...], list[State]] = {}
    for state in job.states:
        cases = tuple(case for case in job.cases if (state.name, case) in lacking)
        alike.setdefault(cases, []).append(state)
    for cases, states in alike.items():
        if cases:
            skipped = {case: why for case, why in job.skipped.items() if case in cases}
            yield replace(job, states=tuple(states), cases=cases, skipped=skipped)


def _verdict(
    job: Job, book: _Book, keys: Mapping[tuple[str, str], str], first: Mapping[str, tuple[str, str]],
    pair: tuple[str, str],
) -> Verdict:  # fmt: skip
    """A known result as that of one state: what is promised there is asked anew."""
    key = keys[pair]
    name, case = pair
    note, result = book.made.get(key) or book.known[key]
    expected = job.expectation(case, next(state for state in job.states if state.name == name))
    met = None if expected is None else meets(expected, result.outcome)
    return Verdict(
        msgspec.structs.replace(result, state=name, expected=expected, met=met),
        note.run,
        "" if key in book.made else note.when,
        "" if first[key] == pair else first[key][0],
    )


def verdict_key(place: Place, job: Job, kernel: Kernel, ready: Ready, case: str, nth: int = 0) -> str:
    """Everything that decides what comes out, and nothing that does not: not what is expected, nor which patch it is.

    Programs, tools and agent are in the initramfs, whose path is its content's key, as the disk's is.
    """
    suite = msgspec.structs.replace(job.suite, title="", green_from="", expect={}, cases={}, filesystems=())
    own = msgspec.structs.replace(job.suite.cases[case], title="", source="", answers=(), green_from="", expect={})
    filesystem = place.catalogue.filesystems.get(job.scenario.filesystem or "")
    which = (f"run {nth}", ready.state.name) if nth else ()  # runs for a rate: none stands for another
    return digest(
        "verdict 1", str(place.workspace.runs), host_key(), _lab(), _content(kernel.vmlinux),
        repr(replace(ready.options, kernel=Path())),
        f"{ready.disk} {ready.spare} {ready.cold} {ready.exact} {ready.record}", job.scenario.name, case,
        msgspec.json.encode(suite), msgspec.json.encode(own), msgspec.json.encode(filesystem),
        job.skipped.get(case, ""), *which,
    )  # fmt: skip


@functools.cache
def _content(vmlinux: Path) -> str:
    return digest_file(vmlinux)


@functools.cache
def _lab() -> str:
    """The lab itself: another judge may come to another judgement."""
    return digest_tree(Path(harness.__file__).parent)
