"""A QEMU and the wires to it: started or forked, listened to, ended. What is said on them is ``Machine``'s."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from harness import process
from harness.machine import channel
from harness.machine.channel import Event, Output
from harness.machine.command import Accelerator, Disk, Options, Wires, arguments
from harness.machine.console import Alarm, Log, Watch
from harness.machine.deadline import Deadline
from harness.machine.monitor import Monitor

CONSOLE_PAUSE = 0.004
"""Seconds in which a console that speaks is left alone: QEMU sends each of its bytes by itself, and waking up for every
one costs more than the guest's printing does."""
CONSOLE_BUFFER = 1 << 18
"""Bytes of socket buffer that QEMU asks for its console, a byte taking some 800 of them. The host may give less."""

PIPE_SIZE = 1 << 20
"""Bytes an exact guest may be ahead of the host's reading: Linux's limit for a user's pipe."""

Wire = socket.socket | FileIO


class Running(Protocol):
    """A QEMU that runs."""

    @property
    def pid(self) -> int:
        """Its number, on the host."""

    def poll(self) -> int | None:
        """Its exit code (negative or above 128: a signal), None as long as it runs."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(frozen=True)
class Ends:
    """File descriptors: QEMU's ends of the wires of one guest."""

    console: int
    port: int
    monitor: int
    stderr: int


Birth = Callable[[Ends, tuple[Disk, ...]], AbstractContextManager[Running]]
"""How a guest begins that is not started: as the fork of one that runs, with these wires and disks for its own."""


class Wired:
    """A context: QEMU runs inside of it, and is gone behind it.

    What comes in is kept: the console in its file and in ``watch``, the agent's frames in ``_frames``.
    """

    def __init__(
        self, options: Options, console: Path, *, sandbox: bool, gdb: socket.socket | None, birth: Birth | None
    ) -> None:
        self.options = options
        self.argv: tuple[str, ...] = ()
        self.watch = Watch()
        self.console_to: int | None = None
        self._console_path = console
        self._sandbox = sandbox
        self._gdb = gdb
        self._birth = birth
        self._stack = contextlib.ExitStack()
        self._framer = channel.Framer()
        self._frames: list[Event | Output] = []
        self._heard = time.monotonic()
        self._stderr = b""
        self._open: set[str] = set()
        self._console_due = 0.0  # when the console may be looked at again

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self.log = Log(self._console_path)
        self._stack.callback(self.log.close)
        self._selector = self._stack.enter_context(contextlib.closing(selectors.DefaultSelector()))
        self._urgent = self._stack.enter_context(contextlib.closing(selectors.DefaultSelector()))
        monitor, monitor_end = self._pair()
        self.monitor = Monitor(monitor, begun=self._birth is not None)
        (console, console_end), (port, port_end) = self._guest_wires()
        theirs = [console_end, port_end, monitor_end]
        if self.options.zygote:
            self.zygote, zygote_end = self._pair(socket.SOCK_SEQPACKET)
            theirs.append(zygote_end)
        errors, errors_end = os.pipe()
        self._stack.callback(os.close, errors)
        os.set_blocking(errors, False)
        fds = [end.fileno() for end in theirs]
        gdb = self._gdb.fileno() if self._gdb else -1
        zygote = fds[3] if self.options.zygote else -1
        self.wires = Wires(fds[0], fds[1], fds[2], one_way=self.options.exact, gdb=gdb, zygote=zygote)
        self.argv = tuple(arguments(self.options, self.wires))
        try:
            self.child = self._stack.enter_context(self._begin(errors_end))
        finally:
            os.close(errors_end)
            for end in theirs:
                end.close()
        for name, source in (("console", console.fileno()), ("port", port.fileno()), ("stderr", errors)):
            self._selector.register(source, selectors.EVENT_READ, name)
            if name != "console":
                self._urgent.register(source, selectors.EVENT_READ, name)
            self._open.add(name)

    def _begin(self, errors: int) -> AbstractContextManager[Running]:
        if self._birth:
            ends = Ends(self.wires.console, self.wires.port, self.wires.monitor, errors)
            return self._birth(ends, self.options.disks)
        return process.start(self.argv, sandbox=self._confined(), stderr=errors, pass_fds=self.wires.all)

    def _pair(self, kind: int = socket.SOCK_STREAM) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self._stack.enter_context(ours)
        return ours, theirs

    def _guest_wires(self) -> list[tuple[Wire, Wire]]:
        """Our end and QEMU's of console and port."""
        if self.options.exact:
            return [self._pipe(), self._pipe()]
        pairs = [self._pair(), self._pair()]
        (self.console_socket, console_end), (self.port_socket, _) = pairs
        console_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CONSOLE_BUFFER)
        return [*pairs]

    def _pipe(self) -> tuple[Wire, Wire]:
        """A pipe so wide that QEMU never waits for it, which would delay the guest's interrupt until the host has read.

        To a socket each byte of the console is a packet of its own, and it is soon full.
        """
        ours, theirs = os.pipe()
        reading, writing = FileIO(ours, "rb"), FileIO(theirs, "wb")
        with contextlib.suppress(OSError):  # the host's limit is lower
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        self._stack.enter_context(reading)
        return reading, writing

    def _confined(self) -> process.Sandbox | None:
        if not self._sandbox:
            return None
        options = self.options
        written = [disk.path for disk in options.disks if not disk.read_only]
        written += [disk.writes for disk in options.disks if disk.writes]
        read = [disk.path for disk in options.disks if disk.read_only]
        # A resumed memory is mapped privately and never written, but QEMU opens it for writing all the same.
        written += [memory for memory in (options.save, options.resume, options.record) if memory]
        read += [path for path in (options.replay, options.zygote) if path]
        return process.Sandbox(
            writable=tuple(written),
            readable=(*(() if options.goes_on else (options.kernel, options.initramfs)), *read),
            devices=(Path("/dev/kvm"),) if options.accelerator is Accelerator.KVM else (),
        )

    def stop(self) -> None:
        """End QEMU now. What it still had to say on the console is in the file when this returns."""
        try:
            if hasattr(self, "child"):
                self.child.kill()
                # The wires close when the last process that holds them is gone: QEMU itself, not only its guard.
                self._drain(Deadline(1.0))
        finally:
            self._stack.close()

    def _pump(self, timeout: float) -> list[Alarm]:
        """Take in what QEMU sends within ``timeout`` seconds; returns at the first sign of anything."""
        alarms: list[Alarm] = []
        for key, _ in self._ready(timeout):
            data = self._read(key.fd)
            if not data:
                self._forget(key)
            elif key.data == "console":
                self._console_due = time.monotonic() + CONSOLE_PAUSE
                self.log.write(data)
                alarms += self.watch.feed(data)
            elif key.data == "stderr":
                self._stderr = (self._stderr + data)[-65536:]
            else:
                self._heard = time.monotonic()
                self._frames += [channel.parse(line) for line in self._framer.feed(data)]
        return alarms

    def _ready(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        pause = self._console_due - time.monotonic()
        if pause > 0 and (found := self._urgent.select(min(pause, timeout))):
            return found
        return self._selector.select(max(0.0, timeout - max(0.0, pause)))

    def _forget(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fd)
        if key.data != "console":
            self._urgent.unregister(key.fd)
        self._open.discard(key.data)

    def _read(self, fd: int) -> bytes:
        try:
            return os.read(fd, 65536)
        except (ConnectionError, BlockingIOError):
            return b""

    def _drain(self, deadline: Deadline) -> None:
        while self._open and not deadline.expired:
            self._pump(deadline.remaining)

    def qemu_exit(self, deadline: Deadline) -> int | None:
        """QEMU's exit code (negative or above 128: a signal), None when it still runs at the deadline."""
        while self.child.poll() is None and not deadline.expired:
            time.sleep(0.002)
        return self.child.poll()

    @property
    def stderr(self) -> str:
        """What QEMU complained about."""
        return self._stderr.decode(errors="replace").strip()
