"""A guest for a person: the state's own snapshot, or the disk that a failed case left."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.guest import disks
from harness.machine import snapshot
from harness.machine.command import Disk
from harness.machine.machine import Machine
from harness.runner.prepare import Ready


@contextlib.contextmanager
def guest(ready: Ready, left: Path | None = None) -> Iterator[Machine]:
    """A guest that waits for commands, with a copy of the pristine disk, or of the disk ``left`` by a case.

    A disk that was written elsewhere needs a guest that has not mounted another: that one boots from power-on.
    Raises BootError or InfraError.
    """
    with tempfile.TemporaryDirectory(prefix="lab-shell.") as folder:
        console = Path(folder) / "console.log"
        if left is None and ready.snapshot is not None:
            own = tuple(Disk(disks.copy_sparse(disk, Path(folder) / disk.name)) for disk in ready.snapshot.disks)
            with snapshot.fork(ready.options, ready.snapshot, own, console) as machine:
                yield machine
            return
        source = left or ready.disk
        own = (Disk(disks.copy_sparse(source, Path(folder) / "disk.img")),) if source else ()
        with Machine(replace(ready.options, disks=own), console) as machine:
            machine.wait_ready()
            yield machine
