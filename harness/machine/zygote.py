"""A saved guest that stands in a running QEMU, to be forked for each case: nothing is loaded, little is translated.

    with zygote(options, saved, disks, console, library, waiting) as parent:
        ...
        with snapshot.fork(options, parent.snapshot, disks, console, parent.birth) as machine:
            machine.run_case(...)

A guest resumed from a saved state (harness.machine.snapshot) is translated anew, block by block, by every QEMU that
loads it: two thirds of a short case's time. The zygote has resumed it once, has let the agent rehearse what is done
around every case, and stands still. Its forks, made by the library zygote.c within QEMU, have all of its translations
and share its memory copy-on-write. Each has its own disk, wires and console, as every other guest.

Guests under KVM cannot be forked (their memory is another process's), exact ones must not be: their clock has begun.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import InfraError
from harness.machine import channel, snapshot
from harness.machine.command import Accelerator, Disk, Options
from harness.machine.machine import Machine
from harness.machine.snapshot import Snapshot
from harness.machine.wired import Ends, Running

SOURCE = Path(__file__).with_suffix(".c")
PATIENCE = 10.0
"""Seconds QEMU may take to fork: a thousand times what it needs."""


def can(options: Options) -> bool:
    """Whether guests of these options can be forked so."""
    return options.accelerator is Accelerator.TCG and not options.exact


@contextlib.contextmanager
def zygote(
    options: Options,
    saved: Snapshot,
    disks: tuple[Disk, ...],
    console: Path,
    library: Path,
    waiting: tuple[str, ...] = (),
) -> Iterator[Zygote]:
    """A guest resumed from ``saved`` on its own copies of the disks, rehearsed, with programs waiting, standing still.

    ``library`` is ``SOURCE``, compiled. Forks must begin with the disks as they are from then on; those of a guest that
    has nothing mounted, with any of the same size.
    Raises InfraError when QEMU does not take the state, GuestEndedError when the guest does not survive the rehearsal.
    """
    resumed = replace(options, save=None, resume=saved.memory, disks=disks, zygote=library, standing=True)
    with Machine(resumed, console) as machine:
        snapshot.go_on(machine, saved)
        machine.adopt(saved.release)
        machine.before(channel.clock(time.time()) + channel.seed(os.urandom(32)))
        machine.monitor.ask("cont")
        machine.rehearse()
        machine.keep_waiting(waiting)
        machine.monitor.ask("stop")
        yield Zygote(machine, replace(saved, disks=tuple(disk.path for disk in disks)))


@dataclass
class Zygote:
    """The guest that stands. Forks may be made by several threads; all are gone when it is."""

    machine: Machine
    snapshot: Snapshot
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def birth(self, ends: Ends, disks: tuple[Disk, ...]) -> Iterator[Running]:
        """A fork, which stands still as well, with these wires and disks; it is gone at the end of the context.

        Raises InfraError when QEMU does not fork.
        """
        wires = self.machine.wires
        places = [(ends.console, wires.console), (ends.port, wires.port), (ends.monitor, wires.monitor)]
        with contextlib.ExitStack() as opened:
            fds = [fd for fd, _ in places] + [ends.stderr]
            names = [str(number) for _, number in places] + ["2"]
            for disk, path in zip(disks, self.snapshot.disks, strict=True):
                stream = opened.enter_context(disk.path.open("rb" if disk.read_only else "r+b"))
                fds.append(stream.fileno())
                names.append(os.path.realpath(path))
            child = self._fork(fds, names)
        try:
            yield child
        finally:
            child.kill()

    def _fork(self, fds: Sequence[int], names: Sequence[str]) -> Forked:
        text, passed = self._ask("\n".join(["fork", *names, ""]).encode(), fds)
        if not passed:
            raise InfraError(f"QEMU does not fork: {text.removeprefix('error ')}")
        return Forked(self, int(text), passed[0])

    def reap(self, number: int) -> int:
        """The exit code of a fork that has ended, by the number that its parent knows it by; -9 when both have."""
        try:
            text, _ = self._ask(f"reap {number}".encode())
        except InfraError:
            return -signal.SIGKILL
        return os.waitstatus_to_exitcode(int(text))

    def _ask(self, question: bytes, fds: Sequence[int] = ()) -> tuple[str, list[int]]:
        with self._lock:
            try:
                self.machine.zygote.settimeout(PATIENCE)
                socket.send_fds(self.machine.zygote, [question], list(fds))
                data, passed, _, _ = socket.recv_fds(self.machine.zygote, 256, 1)
            except OSError as exc:
                raise InfraError(f"the QEMU that is to be forked does not answer: {exc}") from exc
        if not data:
            raise InfraError("the QEMU that is to be forked is gone")
        return data.decode(), passed


class Forked:
    """A forked QEMU: no child of the lab's, but of a process that is. ``pidfd`` is its own."""

    def __init__(self, parent: Zygote, number: int, pidfd: int) -> None:
        self._parent = parent
        self._number = number
        self._pidfd = pidfd
        self._code: int | None = None

    @property
    def pid(self) -> int:
        """Its number on the host; -1 once it is gone."""
        info = Path(f"/proc/self/fdinfo/{self._pidfd}").read_text() if self._code is None else ""
        return next((int(line.split()[1]) for line in info.splitlines() if line.startswith("Pid:")), -1)

    def poll(self) -> int | None:
        """Its exit code, None as long as it runs."""
        if self._code is None and select.select([self._pidfd], [], [], 0)[0]:
            self._collect()
        return self._code

    def kill(self) -> None:
        """End it at once and collect it."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            select.select([self._pidfd], [], [], PATIENCE)
            self._collect()

    def _collect(self) -> None:
        self._code = self._parent.reap(self._number)
        os.close(self._pidfd)
