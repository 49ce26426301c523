"""The guest of a case that did not do what was wanted, kept as it was when that was found: memory, disks, what it is.

keeper = Keeper(machine, ready, suite, case, folder, wanted)
raw = machine.run_case(..., look=keeper.look)      # as the case left it, before anything is cleaned up
keeper.consider(raw, check(...))                   # what only the unmount or the checker has shown
keeper.files                                       # for the case's folder

with reopened(folder, scratch) as machine: ...     # the same guest, running on from that moment
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import msgspec

from harness.catalogue.model import Expectation, Suite
from harness.errors import InfraError, UserError
from harness.guest import disks
from harness.machine import snapshot
from harness.machine.command import Accelerator, Disk, Options
from harness.machine.machine import Machine
from harness.machine.outcome import Ended, RawResult
from harness.results.model import GUEST
from harness.runner.prepare import Ready
from harness.runner.record import record
from harness.verdict import judge

STATE, FACTS = GUEST, "guest.json"
DISKS = ("guest.disk.img", "guest.spare.img")
MOST = 8
"""Guests kept of one run: each takes some 40 MiB, and who has seen eight fail the same way needs no ninth."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """guest.json: what the kept guest is. ``ended`` tells what can still be done with it; ``symbols`` is for gdb."""

    memory: int
    cpus: int
    accelerator: str
    named: bool
    disks: int
    ended: str
    symbols: str = ""
    version: int = 1

    @property
    def answers(self) -> bool:
        """Whether its agent still obeys."""
        return self.ended in (Ended.DONE.value, Ended.TIMEOUT.value)


@dataclass
class Keeper:
    """Who decides whether a case's guest is worth keeping. ``wanted`` is None when it never is."""

    machine: Machine
    ready: Ready
    suite: Suite
    case: str
    folder: Path
    wanted: Expectation | None
    files: tuple[Path, ...] = ()

    def look(self, raw: RawResult) -> None:
        self.consider(raw, None)

    def consider(self, raw: RawResult, checked: judge.Check | None) -> None:
        """Keep the guest when what is known of its case is not what was wanted, and it was not kept before."""
        if self.wanted is None or self.files:
            return
        outcome = judge.judge(record(self.ready, self.suite, self.case, raw, checked))
        if not judge.meets(self.wanted, outcome):
            with contextlib.suppress(InfraError):  # it is gone, or goes: then there is nothing to keep
                self.files = self._keep(raw.ended)

    def _keep(self, ended: Ended) -> tuple[Path, ...]:
        options = self.machine.options
        facts = Facts(
            memory=options.memory, cpus=options.cpus, accelerator=options.accelerator.value,
            named=options.resume is not None, disks=len(options.disks), ended=ended.value,
            symbols=str(self.ready.kernel.symbols),
        )  # fmt: skip
        made = [self.folder / STATE]

        def keep() -> None:
            snapshot.save_whole(self.machine, made[0])
            for disk, name in zip(options.disks, DISKS, strict=False):
                made.append(disks.copy_sparse(disk.path, self.folder / name))

        self.machine.standing_still(keep)
        made.append(self.folder / FACTS)
        made[-1].write_bytes(msgspec.json.format(msgspec.json.encode(facts)) + b"\n")
        return tuple(made)


def load(case: Path) -> Facts | None:
    """What was kept of a case's guest, None when it was not kept.

    Raises InfraError when guest.json cannot be read.
    """
    if not (case / FACTS).is_file() or not (case / STATE).is_file():
        return None
    try:
        return msgspec.json.decode((case / FACTS).read_bytes(), type=Facts)
    except msgspec.MsgspecError as exc:
        raise InfraError(f"{case / FACTS}: {exc}") from exc


@contextlib.contextmanager
def reopened(case: Path, scratch: Path, gdb: socket | None = None) -> Iterator[Machine]:
    """The guest kept in a case's folder, running on from that moment with copies of its disks.

    With ``gdb``, a listening socket, it stands still at that moment.
    Raises UserError when none was kept, InfraError when QEMU does not take it.
    """
    facts = load(case)
    if facts is None:
        raise UserError(f"the guest of {case.name} was not kept")
    own = tuple(Disk(disks.copy_sparse(case / name, scratch / name)) for name in DISKS[: facts.disks])
    options = Options(
        kernel=Path(), initramfs=Path(), memory=facts.memory, cpus=facts.cpus,
        accelerator=Accelerator(facts.accelerator), disks=own, restore=True, named=facts.named,
        standing=gdb is not None,
    )  # fmt: skip
    with snapshot.restored(options, case / STATE, scratch / "console.log", gdb) as machine:
        yield machine
