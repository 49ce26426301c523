"""A guest's run as a line of instructions: kept while it happens, run again and stopped anywhere on it.

made = finish(machine)                       # a guest that was started with Options.record has come to its end
with Machine(replace(options, replay=log), console) as machine:
    stop = run_to(machine, 400_000_000)      # or to the end, whichever comes first
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from harness.errors import InfraError
from harness.machine.deadline import Deadline
from harness.machine.machine import Machine

ENDING = 10.0
"""Seconds a guest gets to stop by itself, and QEMU to write the end of its log."""
STALLED = 60.0
"""Seconds in which a replayed guest has to execute anything at all."""


@dataclass(frozen=True)
class Stop:
    """Where a guest stands: instructions since power-on, and whether there are no more."""

    instructions: int
    ended: bool


def finish(machine: Machine) -> int:
    """End a recorded guest so that its log is whole; how many instructions it ran.

    Raises InfraError when QEMU does not answer or does not quit: the log is worth nothing then.
    """
    deadline = Deadline(ENDING)
    while machine.monitor.ask("query-status")["running"] and not deadline.expired:
        machine.listen(0.01)
    machine.monitor.ask("stop")
    count = int(machine.monitor.ask("query-replay")["icount"])
    with contextlib.suppress(InfraError):  # it may be gone before it has answered
        machine.monitor.ask("quit")
    if machine.qemu_exit(Deadline(ENDING)) is None:
        raise InfraError("QEMU does not quit: the recording is not whole")
    return count


def position(machine: Machine) -> int:
    """Instructions since power-on of a guest that stands still."""
    return int(machine.monitor.ask("query-replay")["icount"])


def run_to(machine: Machine, instruction: int | None) -> Stop:
    """Run a replayed guest up to an instruction, or to its end.

    Raises InfraError when it does not get on: the log does not fit the guest.
    """
    if instruction is not None:
        machine.monitor.ask("replay-break", {"icount": instruction})
    machine.monitor.ask("cont")
    status = _wait(machine)
    at = position(machine)
    return Stop(at, status == "shutdown" or (instruction is not None and at < instruction))


def _wait(machine: Machine) -> str:
    """The status of the guest once it stands."""
    last, since = -1, time.monotonic()
    pause = 0.0005
    while (status := machine.monitor.ask("query-status"))["running"]:
        machine.listen(pause)
        pause = min(pause * 1.5, 0.02)
        if time.monotonic() - since > STALLED:
            now = position(machine)
            if now == last:
                raise InfraError(
                    f"the replay stands still at instruction {now:,}: the recording is of another guest or another QEMU"
                )
            last, since = now, time.monotonic()
    machine.listen(0)
    return str(status["status"])
