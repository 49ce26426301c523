"""A replay that can be sent anywhere while a debugger holds it, backwards too: it is run again up to there.

    with Rewinder(recording, case, scratch, at, place) as rewinder:
        debugger.run(..., gdb connects to rewinder.gdb and asks on rewinder.control)

QEMU 7.2 cannot step this machine back (docs/exact.md). But the way to any instruction is the same each time and takes
seconds, so going back is going there anew: the guest that stands now is ended and another one is replayed. gdb stays,
with its symbols and breakpoints, and connects to the new one (harness/cli/gdb_commands.py).

Requests are lines on a socket file; each is answered by one line, ``at ICOUNT PATH-OF-GDB`` or ``error MESSAGE``::

    where          the instruction the guest stands at
    goto ICOUNT    stand there
    back COUNT     stand COUNT instructions before
"""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import InfraError, LabError
from harness.machine import history
from harness.machine.machine import Machine
from harness.runner import replay
from harness.runner.replay import Found, Place, Recording

STARTING = 600.0
"""Seconds the first guest may take to stand where it should: half a minute a billion instructions."""


class Rewinder:
    """Its thread owns the guests, one at a time. ``gdb`` is the socket of the one that stands now, ``found`` where."""

    def __init__(self, recording: Recording, case: Path, scratch: Path, at: int, place: Place | None = None) -> None:
        self.control = scratch / "control"
        self.gdb = scratch / "gdb"
        self._recording, self._case, self._scratch = recording, case, scratch
        self._guest = contextlib.ExitStack()
        self._machine: Machine | None = None
        self.found = Found(0, 0, None)
        self._count = 0
        self._begun: LabError | None = None
        self._stands = threading.Event()
        self._listener = _listen(self.control)
        self._thread = threading.Thread(target=self._serve, args=(at, place), name="rewinder")

    def __enter__(self) -> Self:
        """Raises what the first replay raises."""
        self._thread.start()
        try:
            if not self._stands.wait(STARTING):
                raise InfraError(f"the replay did not come to its place within {STARTING:g} s")
            if self._begun:
                raise self._begun
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self, at: int, place: Place | None) -> None:
        with self._guest:
            try:
                self._go(at, place)
            except LabError as exc:
                self._begun = exc
            self._stands.set()
            while self._begun is None:
                try:
                    peer, _ = self._listener.accept()
                except OSError:  # shut down
                    return
                with peer, peer.makefile("rw") as stream:
                    stream.write(self._answer(stream.readline().split()) + "\n")

    def _answer(self, words: list[str]) -> str:
        try:
            match words:
                case ["where"]:
                    return f"at {self._position} {self.gdb}"
                case ["goto", count]:
                    return f"at {self._go(int(count))} {self.gdb}"
                case ["back", count]:
                    return f"at {self._go(self._position - int(count))} {self.gdb}"
        except (LabError, ValueError) as exc:
            return "error " + " ".join(str(exc).split())
        return "error what is asked is where, goto or back"

    @property
    def _position(self) -> int:
        assert self._machine is not None
        return history.position(self._machine)

    def _go(self, at: int, place: Place | None = None) -> int:
        """End the guest that stands and replay another one up to ``at``; where it stands."""
        if not 0 < at <= self._recording.instructions:
            raise InfraError(f"the recording has instructions 1 to {self._recording.instructions:,}, not {at:,}")
        self._guest.close()
        self._count += 1
        self.gdb = self._scratch / f"gdb.{self._count}"
        listener = self._guest.enter_context(contextlib.closing(_listen(self.gdb)))
        guest = replay.stopped(self._recording, self._case, self._scratch, place, at, listener)
        self._machine, self.found = self._guest.enter_context(guest)
        return self.found.instructions


def _listen(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(1)
    return made
