"""A booted guest, saved once and continued many times.

    options = replace(options, save=new_memory(folder, options))
    with Machine(options, console) as machine:
        machine.wait_ready()
        snapshot = save(machine, folder)          # folder now holds memory, state and snapshot.json
    ...
    with fork(options, snapshot, disk, console) as machine:
        machine.run_case(...)

The guest's memory is a file from its boot on, as its disks are. Memory is not copied to be saved, and a fork maps it
copy-on-write: forks share what none of them has written. The state beside it is what the devices hold, some 50 kB.

A fork goes on where the saved guest waited for a command: with the agent's port connected anew, its own copy of the
disk, and, told with its first command, the wall clock and 32 bytes for its random number generator. It has the same
pids, the same addresses, the same uptime and the same caches as every other fork.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InfraError
from harness.machine import channel
from harness.machine.command import Disk, Options
from harness.machine.deadline import Deadline
from harness.machine.machine import Machine
from harness.machine.monitor import Monitor
from harness.machine.wired import Birth

IGNORE_SHARED = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}
"""Memory that is a shared file stays where it is: it is no part of the saved state."""
UNLIMITED = 1 << 40
"""Bytes a second: a file needs no pace."""


@dataclass(frozen=True)
class Snapshot:
    """A saved guest. ``memory`` and ``disks`` must never be written again; ``machine`` is the shape of it."""

    memory: Path
    state: Path
    disks: tuple[Path, ...]
    release: str
    machine: str


def _shape(options: Options) -> str:
    """What a machine must have in common with the saved one; QEMU itself does not always notice."""
    facts = (options.memory, options.cpus, options.accelerator, len(options.disks), options.exact)
    return " ".join(str(fact) for fact in facts)


def new_memory(folder: Path, options: Options) -> Path:
    """An empty file for the memory of a guest that is to be saved in ``folder``."""
    path = folder / "memory"
    with path.open("wb") as stream:
        stream.truncate(options.memory * 1024 * 1024)
    return path


def save(machine: Machine, folder: Path) -> Snapshot:
    """Stop a guest that waits for commands and keep it in ``folder``. The machine cannot be used after.

    Its disks, as they are now, belong to the snapshot: they should be in the same folder, so that it can be moved.
    Raises InfraError when QEMU cannot save it, or when it was started without ``Options.save``.
    """
    memory = machine.options.save
    if memory is None:
        raise InfraError("a guest can only be saved when its memory was a file from the start (Options.save)")
    state = folder / "state"
    monitor = machine.monitor
    with state.open("wb") as stream:
        monitor.ask("migrate-set-capabilities", IGNORE_SHARED)
        monitor.ask("getfd", {"fdname": "state"}, fd=stream.fileno())
        monitor.ask("migrate", {"uri": "fd:state"})
        _wait_saved(monitor, Deadline(30))
    disks = tuple(disk.path for disk in machine.options.disks)
    made = Snapshot(memory, state, disks, machine.kernel_release, _shape(machine.options))
    facts = {
        "memory": os.path.relpath(memory, folder),
        "state": state.name,
        "disks": [os.path.relpath(disk, folder) for disk in disks],
        "release": made.release,
        "machine": made.machine,
    }
    (folder / "snapshot.json").write_text(json.dumps(facts))
    return made


def _wait_saved(monitor: Monitor, deadline: Deadline) -> None:
    while True:
        answer = monitor.ask("query-migrate")
        status = answer.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled") or deadline.expired:
            raise InfraError(f"QEMU cannot save the guest: {answer.get('error-desc', status)}")
        time.sleep(0.002)


def load(folder: Path) -> Snapshot:
    """The snapshot that ``save`` left in a folder (which may have been moved since).

    Raises InfraError when there is none.
    """
    try:
        facts = json.loads((folder / "snapshot.json").read_text())
    except (OSError, ValueError) as exc:
        raise InfraError(f"{folder} holds no saved guest") from exc
    disks = tuple(folder / disk for disk in facts["disks"])
    return Snapshot(folder / facts["memory"], folder / facts["state"], disks, facts["release"], facts["machine"])


def save_whole(machine: Machine, state: Path) -> None:
    """Write all that a guest is, its memory too, into one file; the guest has to stand still. It can go on after.

    Raises InfraError when QEMU cannot.
    """
    monitor = machine.monitor
    with state.open("wb") as stream:
        monitor.ask("migrate-set-capabilities", IGNORE_SHARED)
        monitor.ask("migrate-set-parameters", {"max-bandwidth": UNLIMITED})
        monitor.ask("getfd", {"fdname": "whole"}, fd=stream.fileno())
        monitor.ask("migrate", {"uri": "fd:whole"})
        _wait_saved(monitor, Deadline(60))


@contextmanager
def restored(options: Options, state: Path, console: Path, gdb: socket.socket | None = None) -> Iterator[Machine]:
    """The guest of ``save_whole``, running on from that moment; ``options`` are as they were, with ``restore``.

    Raises InfraError when QEMU does not take the state.
    """
    with Machine(options, console, gdb=gdb) as machine:
        try:
            _resume(machine.monitor, state)
            if not options.standing:  # it stood still when it was saved
                machine.monitor.ask("cont")
        except InfraError:
            machine.blame_qemu()
            raise
        machine.adopt()
        yield machine


@contextmanager
def fork(
    options: Options, snapshot: Snapshot, disks: tuple[Disk, ...], console: Path, birth: Birth | None = None
) -> Iterator[Machine]:
    """A running guest that goes on from ``snapshot``, ready for commands.

    ``options`` are those it was saved with; ``disks`` are the fork's own copies of ``snapshot.disks``. With ``birth``
    (of a harness.machine.zygote, whose snapshot it is) it does not have to be loaded.
    Raises InfraError when QEMU does not take the state: it was saved by another machine or another QEMU.
    """
    if _shape(replace(options, disks=disks)) != snapshot.machine:
        raise InfraError(f"the saved guest ran on another machine: {snapshot.machine}")
    resumed = replace(options, save=None, resume=snapshot.memory, disks=disks)
    with Machine(resumed, console, birth=birth) as machine:
        if birth:
            machine.monitor.ask("cont")
        else:
            go_on(machine, snapshot)
        machine.adopt(snapshot.release)
        machine.before(channel.clock(time.time()) + channel.seed(os.urandom(32)))
        yield machine


def go_on(machine: Machine, snapshot: Snapshot) -> None:
    """Load a saved guest into a QEMU that was started to resume it.

    Raises InfraError when QEMU does not take the state.
    """
    try:
        _resume(machine.monitor, snapshot.state)
    except InfraError:
        machine.blame_qemu()
        raise


def _resume(monitor: Monitor, state: Path) -> None:
    with state.open("rb") as stream:
        monitor.ask("migrate-set-capabilities", IGNORE_SHARED)
        monitor.ask("getfd", {"fdname": "state"}, fd=stream.fileno())
        monitor.ask("migrate-incoming", {"uri": "fd:state"})
    deadline = Deadline(30)
    while monitor.ask("query-status")["status"] == "inmigrate":
        if deadline.expired:
            raise InfraError("QEMU does not come to an end with the saved state")
        time.sleep(0.001)
