"""Zygotes of a run: where many cases share a saved guest, one copy of it stands in a QEMU to be forked for each.

    with standby(ready, cases, cache, folder, crew, stopping) as ready:
        ...                      # ready.standby.zygote: None until it stands, and when it cannot

Nobody waits for it: cases begin at once, each in a QEMU that loads the saved guest, and change over when it stands.
What does not work costs time, no verdict: then all are loaded.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import process
from harness.cache import Cache, digest, digest_file
from harness.errors import LabError
from harness.machine.zygote import SOURCE, Zygote, can, zygote
from harness.runner.prepare import Ready, Standby, own_disks
from harness.verdict import splat

FEW = 6
"""Cases of a state for which it is not worth it: to resume and to rehearse take as long as three cases."""
COMPILER = ("gcc", "-O2", "-shared", "-fPIC", "-pthread")


def library(cache: Cache) -> Path:
    """What QEMU is forked with, compiled for this host.

    Raises CommandError when it cannot be, InfraError when there is no compiler.
    """
    version = process.run([COMPILER[0], "--version"]).stdout.splitlines()[0]

    def make(folder: Path) -> None:
        process.run([*COMPILER, "-o", str(folder / "zygote.so"), str(SOURCE)])

    return cache.make("host", digest("zygote 1", version, *COMPILER, digest_file(SOURCE)), make) / "zygote.so"


@contextlib.contextmanager
def standby(
    ready: Ready, cases: int, cache: Cache, folder: Path, crew: object, stopping: threading.Event
) -> Iterator[Ready]:
    """The state, for ``cases`` cases, with a zygote on its way where that is worth it; it is gone after the context.

    ``folder`` takes its disks and its console, ``crew`` (of harness.process) its QEMU.
    """
    if cases <= FEW or ready.snapshot is None or not can(ready.options):
        yield ready
        return
    place = folder / f"zygote-{ready.state.name}{'-bare' if ready.options.later else ''}"
    place.mkdir()
    nursery = _Nursery(ready, cache, place, crew, Standby(stopping))
    thread = threading.Thread(target=nursery.stand, name="zygote")
    thread.start()
    try:
        yield replace(ready, standby=nursery.standby)
    finally:
        nursery.over.set()
        thread.join()


@dataclass
class _Nursery:
    """A zygote's thread: whoever starts a QEMU has to outlive it (harness.process)."""

    ready: Ready
    cache: Cache
    folder: Path
    crew: object
    standby: Standby
    over: threading.Event = field(default_factory=threading.Event)

    def stand(self) -> None:
        process.enlist(self.crew)
        try:
            with self._zygote() as made:
                self.standby.zygote = made
                self.over.wait()
        except LabError as exc:
            self.standby.give_up(exc.message)
        finally:
            self.standby.zygote = None

    @contextlib.contextmanager
    def _zygote(self) -> Iterator[Zygote]:
        ready, console = self.ready, self.folder / "console.log"
        assert ready.snapshot is not None
        disks = own_disks(ready, self.folder)
        with zygote(ready.options, ready.snapshot, disks, console, library(self.cache), ready.waiting) as made:
            complaints = splat.scan(console.read_text(errors="replace"))
            if complaints:
                raise LabError(f"its kernel complained in the rehearsal: {complaints[0].title}")
            yield made
