"""Recorded cases, run again instruction for instruction up to where they went wrong.

`lab run --record` keeps two files beside a case that did not pass: ``replay.log``, in which QEMU noted what the guest
did not determine, and ``replay.json``, the guest (a ``Recording``). Kernel and initramfs are named by their place in
the cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket

import msgspec

from harness.catalogue.model import Kind
from harness.errors import InfraError, UserError
from harness.machine import history
from harness.machine.command import Options
from harness.machine.machine import Machine
from harness.machine.outcome import RawResult
from harness.results.model import RECORDING
from harness.runner import exact
from harness.verdict.judge import Outcome

LOG, FACTS = RECORDING, "replay.json"
COARSE, FINE = 2_000_000, 4_000
"""Instructions between two looks at what the guest has said: in the first replay, and in the second near the place."""
LOCATED = re.compile(r"^(?P<where>\S+\.\w+:[0-9]+): ")


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """replay.json: the guest of a recorded case. ``instructions`` is where it ended; ``symbols`` is for gdb."""

    kernel: str
    symbols: str
    initramfs: str
    memory: int
    filesystem: str
    mount: str
    device: str
    extra: tuple[str, ...]
    instructions: int


@dataclass(frozen=True)
class Place:
    """What to stop at: the first time ``text`` is on the console, or in the case's output."""

    text: str
    on_console: bool


@dataclass(frozen=True)
class Found:
    """Where the replay stands: behind ``place`` by at most ``within`` instructions, or at the end (place is None)."""

    instructions: int
    within: int
    place: Place | None


def record(
    options: Options, symbols: Path, folder: Path, program: str, test: str | None, seconds: float
) -> tuple[RawResult, tuple[Path, ...]]:
    """A case in an exact guest that is recorded; the files that replay it.

    Raises InfraError when QEMU cannot be started or leaves no whole recording.
    """
    log = folder / LOG
    log.touch()
    own = replace(exact.of_case(options, program, test, seconds), record=log)
    with Machine(own, folder / "console.log") as machine:
        raw = exact.follow(machine, seconds)
        if machine.child.poll() is not None:
            return raw, ()  # QEMU ended on its own: there is no whole log
        instructions = history.finish(machine)
    facts = Recording(
        kernel=str(own.kernel), symbols=str(symbols), initramfs=str(own.initramfs), memory=own.memory,
        filesystem=own.filesystem, mount=own.mount, device=own.device, extra=own.extra, instructions=instructions,
    )  # fmt: skip
    (folder / FACTS).write_bytes(msgspec.json.format(msgspec.json.encode(facts)) + b"\n")
    return raw, (log, folder / FACTS)


def load(case: Path) -> Recording:
    """The recording in a case's folder.

    Raises UserError when there is none, or when what it ran is not in the cache any more.
    """
    if not (case / LOG).is_file() or not (case / FACTS).is_file():
        raise UserError(f"{case.name} was not recorded", hint="`lab run --record` keeps cases that do not pass")
    try:
        found = msgspec.json.decode((case / FACTS).read_bytes(), type=Recording)
    except msgspec.MsgspecError as exc:
        raise InfraError(f"{case / FACTS}: {exc}") from exc
    for path in (found.kernel, found.initramfs):
        if not Path(path).is_file():
            raise UserError(f"{path} is gone: without it the recording means nothing", hint="record the case again")
    return found


def place_of(outcome: Outcome) -> Place | None:
    """Where a case went wrong, by what it printed: its first splat, or its failed assertion. None: it only ended."""
    if outcome.splats and outcome.kind is not Kind.ASSERTION:
        return Place(outcome.splats[0].first, on_console=True)
    located = LOCATED.match(outcome.message)
    return Place(f"{located['where']}:", on_console=False) if located else None


def options_of(recording: Recording, log: Path) -> Options:
    """The guest that replays."""
    return Options(
        kernel=Path(recording.kernel), initramfs=Path(recording.initramfs), memory=recording.memory,
        filesystem=recording.filesystem, mount=recording.mount, device=recording.device, extra=recording.extra,
        exact=True, replay=log,
    )  # fmt: skip


def measure(recording: Recording, case: Path, scratch: Path, place: Place | None) -> tuple[int, int]:
    """Replay all of it: the instruction it ends at, and one close behind ``place`` (0 when that is not met).

    Raises InfraError when the replay ends elsewhere than the recording did, or cannot go on.
    """
    seen = 0
    with Machine(options_of(recording, case / LOG), scratch / "first.log") as machine:
        stop = history.Stop(0, False)
        while place and not stop.ended and not seen:
            stop = history.run_to(machine, stop.instructions + COARSE)
            seen = stop.instructions if _said(machine, place) else 0
        if not stop.ended:
            stop = history.run_to(machine, None)
    if stop.instructions != recording.instructions:
        raise InfraError(
            f"the replay ended at instruction {stop.instructions:,}, the recording at {recording.instructions:,}",
            hint="another QEMU than the one that recorded?",
        )
    return stop.instructions, seen


@contextmanager
def stopped(
    recording: Recording, case: Path, scratch: Path, place: Place | None, at: int, gdb: socket | None = None
) -> Iterator[tuple[Machine, Found]]:
    """A guest that stands where it went wrong: closely behind ``place``, which ``at`` is at most COARSE behind; or at
    ``at`` itself when there is no place. ``gdb`` is a listening socket.

    Raises InfraError.
    """
    with Machine(options_of(recording, case / LOG), scratch / "second.log", gdb=gdb) as machine:
        stop = history.run_to(machine, max(1, at - COARSE) if place else at)
        while place and not stop.ended and not _said(machine, place):
            stop = history.run_to(machine, stop.instructions + FINE)
        yield machine, Found(stop.instructions, FINE if place else 0, place)


def _said(machine: Machine, place: Place) -> bool:
    output = machine.listen(0)
    said = machine.log.path.read_bytes() if place.on_console else output
    return any(place.text in line for line in said.decode(errors="replace").split("\n")[:-1])
