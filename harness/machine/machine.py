"""One guest from start to stop.

    with Machine(options, folder / "console.log") as machine:
        machine.wait_ready(Deadline(20))
        result = machine.run_case("unlinked/alias_test", "alias", seconds=20)

Whatever happens inside the context, QEMU is gone at its end. A machine belongs to the thread that started it; several
may run in as many threads. Every wait has a deadline, and ends early when the console shows a panic, when the guest
falls silent or when QEMU ends.
"""

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
from enum import Enum, StrEnum
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Protocol

from harness import process
from harness.errors import InfraError, LabError
from harness.machine import channel
from harness.machine.channel import Event, Output
from harness.machine.command import Accelerator, Disk, Options, Wires, arguments
from harness.machine.console import Alarm, Log, Watch, after_marker, interact
from harness.machine.deadline import Deadline
from harness.machine.monitor import Monitor

BOOT = 30.0
"""Seconds a guest may take to be ready: twenty times what it needs, for hosts that do much else. Like all a guest is
allowed, it is meant of a plain kernel: another has ``Options.slower`` times as long."""
SILENCE = 6.0
"""Seconds without a word or a heart beat (every 0.3 s) after which a guest that runs a case counts as hung."""
STARVED = 0.25
"""Seconds without a processor that are worth granting a guest when its time is over: a busy host is not its fault."""
AFTER_PANIC = 1.0
"""Seconds a panicked kernel gets to write its last lines and reset."""
AFTER_OOPS = 3.0
"""Seconds a case may go on after an oops: enough to report what it saw, if it can."""
AFTER_CASE = 15.0
"""Seconds beyond the case's own for the task dump, the clean-up and the unmount, all with heart beats or none."""
OUTPUT_MAX = 4 * 1024 * 1024
"""Bytes kept of a case's output."""


CONSOLE_PAUSE = 0.004
"""Seconds in which a console that speaks is left alone: QEMU sends each of its bytes by itself, and waking up for every
one costs more than the guest's printing does."""
CONSOLE_BUFFER = 1 << 18
"""Bytes of socket buffer that QEMU asks for its console, a byte taking some 800 of them. The host may give less."""

PIPE_SIZE = 1 << 20
"""Bytes an exact guest may be ahead of the host's reading: Linux's limit for a user's pipe."""

Wire = socket.socket | FileIO


class Ended(StrEnum):
    """How a case's machine came to its end."""

    DONE = "done"  # the agent reported to the last word
    TIMEOUT = "timeout"  # the agent lives, the case did not end in its time
    HANG = "hang"  # the guest is silent, or does not come back from an oops
    PANIC = "panic"
    NO_BOOT = "no-boot"  # never ready
    LOST = "lost"  # QEMU ended on its own
    CUT = "cut"  # by the host, at a place that the case asked for


@dataclass(frozen=True)
class RawResult:
    """What is known of a case before anyone judges it. ``detail`` says in words why it ended so.

    ``console_from`` to ``console_to`` are the bytes of the console file that are the case's own: from its beginning
    (the file's size when it never began) to the end, or to where the host made a hung guest panic.
    ``unmount`` is "ok" when the guest let go of the disk, else the errno's name ("mount: EINVAL" when it could not even
    be mounted), or "" when it never came to it or there was nothing to unmount. ``left`` is what the case left behind,
    in the agent's words: "stuck", "tasks 2", "mount /tmp/m". ``stopped``: the host ended it in order, as it asked.
    ``seconds`` is the wall-clock time of the case, on the host.
    """

    ended: Ended
    detail: str = ""
    exit_code: int | None = None
    signal: int | None = None
    stopped: bool = False
    ktap: str = ""
    events: tuple[str, ...] = ()
    console: Path = Path()
    console_from: int = 0
    console_to: int = 0
    unmount: str = ""
    left: tuple[str, ...] = ()
    seconds: float = 0.0
    argv: tuple[str, ...] = ()
    qemu_exit: int | None = None
    qemu_stderr: str = ""


class BootError(LabError):
    """The guest never was ready: the kernel under test or its initramfs is at fault. ``ended`` says how it failed."""

    exit_code = 1
    whose = "kernel under test"


class GuestEndedError(LabError):
    """A wait is over because the guest is: ``ended`` says how, the message why."""

    whose = "kernel under test"

    def __init__(self, ended: Ended, message: str) -> None:
        super().__init__(message)
        self.ended = ended


class Answer(Enum):
    """What the host does about something that a case asks for and waits for."""

    GO = "go"  # it was done: the case goes on
    END = "end"  # the case is ended in order and its filesystem unmounted
    CUT = "cut"  # nothing more is heard of this guest: its QEMU is to be killed


Host = Callable[[str], Answer]
"""Who is asked by a case, with what stands behind ``channel.ASKS``."""


Look = Callable[[RawResult], None]
"""Who looks at a guest as its case left it, before anything is cleaned up; at one that hangs, before it is made to
panic; at one that panics, while it still tells why. It gets what is known so far, and may save the guest."""


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


class Machine:
    """A guest. See the module for how it is used. With ``birth`` it goes on, stopped, where another one was."""

    def __init__(
        self,
        options: Options,
        console: Path,
        *,
        sandbox: bool = True,
        gdb: socket.socket | None = None,
        birth: Birth | None = None,
    ) -> None:
        self.options = options
        self.argv: tuple[str, ...] = ()
        self.kernel_release = ""
        self.ready_ms = 0
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
        self._patience: Deadline | None = None  # what an oops leaves of it
        self._stderr = b""
        self._open: set[str] = set()
        self._unsent = b""
        self._starved: dict[int, float] = {}  # what its threads have been granted
        self._console_due = 0.0  # when the console may be looked at again
        self._look: Look | None = None
        self._report: _Report | None = None  # of the case that runs

    # Start and stop

    def __enter__(self) -> Machine:
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

    # Listening

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

    def _next(self, deadline: Deadline, silence: float) -> Event | Output:
        """The agent's next frame.

        Raises GuestEndedError when there will be none: panic, silence, QEMU gone, or ``deadline`` over.
        """
        while not self._frames or (self._patience and self._patience.expired):
            if self._gone():
                raise self._lost()
            patience = self._patience.remaining if self._patience else silence
            left = min(deadline.remaining, patience, self._heard + silence - time.monotonic())
            heard = self._heard
            for alarm in self._pump(max(left, 0.0)):
                if alarm is Alarm.PANIC:
                    raise self._panicked()
                self._patience = Deadline(self._slow(AFTER_OOPS))
            # A host that was busy elsewhere may be late itself: what has come meanwhile was no silence.
            nothing = self._heard == heard and not self._gone()
            if left <= 0 and nothing and not self._granted(deadline, silence):
                raise self._hung(deadline, silence)
        return self._frames.pop(0)

    def _granted(self, deadline: Deadline, silence: float) -> bool:
        """Whether QEMU was kept from running meanwhile: that time does not count against its guest."""
        before, self._starved = self._starved, process.starved(self.child.pid)
        waits = (seconds - before.get(thread, 0.0) for thread, seconds in self._starved.items())
        waited = min(max(waits, default=0.0), deadline.elapsed)
        if waited < min(STARVED, silence / 4):
            return False
        deadline.grant(waited)
        self._heard += waited
        if self._patience:
            self._patience.grant(waited)
        return True

    def _slow(self, seconds: float) -> float:
        """What a plain kernel is allowed, for the kernel of this guest."""
        return seconds * self.options.slower

    def _gone(self) -> bool:
        return "port" not in self._open or "console" not in self._open

    def _panicked(self) -> GuestEndedError:
        self._show(Ended.PANIC)
        # -no-reboot ends QEMU as soon as the kernel has said its last.
        self._drain(Deadline(AFTER_PANIC))
        return GuestEndedError(Ended.PANIC, self.watch.first[Alarm.PANIC])

    def _lost(self) -> GuestEndedError:
        self._drain(Deadline(AFTER_PANIC))
        if Alarm.PANIC in self.watch.first:
            return self._panicked()
        code = self.qemu_exit(Deadline(AFTER_PANIC))
        if code is None:
            return GuestEndedError(Ended.LOST, "QEMU closed its wires and still runs")
        if code == 0:
            return GuestEndedError(Ended.LOST, "the guest reset itself without a panic")
        how = f"signal {-code}" if code < 0 else f"signal {code - 128}" if code > 128 else f"exit code {code}"
        return GuestEndedError(
            Ended.LOST, f"QEMU ended on its own: {how}" + (f"\n{self.stderr}" if self.stderr else "")
        )

    def _hung(self, deadline: Deadline, silence: float) -> GuestEndedError:
        self._show(Ended.HANG)
        oops = self.watch.first.get(Alarm.OOPS)
        if oops:
            return GuestEndedError(Ended.HANG, f"the case does not end after: {oops}")
        if deadline.expired:
            return GuestEndedError(Ended.HANG, f"the guest did not finish within {deadline.seconds:g} s")
        self._provoke_trace()
        return GuestEndedError(Ended.HANG, f"no word from the guest for {silence:g} s")

    def _show(self, ended: Ended) -> None:
        """Let who wants to look at the guest as the case left it."""
        if self._look and self._report:
            self._look(self._report.result(self, ended, "", 0.0))
            self._heard = time.monotonic()

    def _provoke_trace(self) -> None:
        """Have the kernel say where it is stuck.

        A break and a ``w`` on the serial line list the blocked tasks, if it still takes interrupts. The NMI after that
        makes any kernel panic at the instruction it is at.
        """
        if self.options.record or self.options.replay:
            return  # what reaches the guest from outside is in no log
        self.console_to = self.log.size
        self.log.write(b"\nlab: the guest is silent; the host asks for blocked tasks, then makes it panic\n")
        with contextlib.suppress(InfraError, ConnectionError):
            if not self.options.exact:
                self.monitor.ask("chardev-send-break", {"id": "console"})
                self.console_socket.sendall(b"w")
                self._drain(Deadline(0.5))
            self.monitor.ask("inject-nmi")
        self._drain(Deadline(2.0))

    def qemu_exit(self, deadline: Deadline) -> int | None:
        """QEMU's exit code (negative or above 128: a signal), None when it still runs at the deadline."""
        while self.child.poll() is None and not deadline.expired:
            time.sleep(0.002)
        return self.child.poll()

    @property
    def stderr(self) -> str:
        """What QEMU complained about."""
        return self._stderr.decode(errors="replace").strip()

    def listen(self, seconds: float) -> bytes:
        """Take in what the guest says within ``seconds``; all lines of cases that were not waited for yet."""
        deadline = Deadline(seconds)
        self._pump(0)
        while not deadline.expired:
            self._pump(deadline.remaining)
        return b"".join(frame.text + b"\n" for frame in self._frames if isinstance(frame, Output))

    # Speaking

    def send(self, command: bytes) -> None:
        """Give the agent a command, behind those that were to go ``before``."""
        command, self._unsent = self._unsent + command, b""
        with contextlib.suppress(ConnectionError):  # the next wait tells how the guest ended
            self.port_socket.sendall(command)

    def before(self, command: bytes) -> None:
        """Have the agent obey this too when it is given its next command: a guest wakes up once for both."""
        self._unsent += command

    def keep_waiting(self, programs: tuple[str, ...]) -> None:
        """Start programs up to their main(), so that cases go on from there. One that cannot be is left for its case.

        Raises GuestEndedError when the guest does not survive it.
        """
        for program in programs:
            self._heard = time.monotonic()
            self.send(channel.wait(program))
            patience = self._slow(BOOT)
            while not (
                isinstance(frame := self._next(Deadline(patience), patience), Event)
                and frame.word in ("waits", "unknown")
            ):
                pass

    def rehearse(self) -> None:
        """Have the agent do once what it does around every case, with something harmless: mount and unmount included.

        Raises InfraError when it does not come to a good end, GuestEndedError when the guest does not survive it.
        """
        self._heard = time.monotonic()
        self.send(channel.REHEARSE)
        while True:
            frame = self._next(Deadline(BOOT), SILENCE)
            if isinstance(frame, Event) and frame.word in ("rehearsed", "unknown"):
                if frame.arguments == ("ok",):
                    return
                raise InfraError(f"the guest could not rehearse: {frame}")

    def wait_ready(self, deadline: Deadline | None = None) -> None:
        """Wait until the agent obeys commands.

        Raises BootError when the guest fails, InfraError when QEMU does.
        """
        deadline = deadline or Deadline(self._slow(BOOT))
        try:
            while True:
                frame = self._next(deadline, deadline.seconds)
                if self._greeted(frame):
                    return
        except channel.ProtocolError as exc:
            raise BootError(exc.message, log=self.log.path) from exc
        except GuestEndedError as exc:
            self.blame_qemu()
            raise BootError(f"the guest never was ready: {exc.message}", log=self.log.path) from exc

    def _greeted(self, frame: Event | Output) -> bool:
        match frame:
            case Event("hello", (version, release)):
                if version != str(channel.PROTOCOL):
                    raise channel.ProtocolError(f"the agent speaks protocol {version}, not {channel.PROTOCOL}")
                self.kernel_release = release
            case Event("mount", ("error", errno, kind)):
                raise channel.ProtocolError(f"the guest cannot mount {kind}: {errno}")
            case Event("ready", (milliseconds,)):
                self.ready_ms = int(milliseconds)
                return True
        return False

    def unborn(self, error: BootError) -> RawResult:
        """The result of a guest that never was ready."""
        return RawResult(
            Ended.NO_BOOT, error.message, console=self.log.path, console_to=self.log.size, argv=self.argv,
            qemu_exit=self.child.poll(), qemu_stderr=self.stderr,
        )  # fmt: skip

    def blame_qemu(self) -> None:
        """Raise InfraError when QEMU failed before the kernel said anything: the host's fault, not the kernel's."""
        self._drain(Deadline(0.5))
        code = self.qemu_exit(Deadline(0.5))
        if code and self.log.size == 0:
            raise InfraError(
                f"QEMU exited with {code}: {self.stderr or 'no message'}",
                hint="its command was: " + " ".join(self.argv),
            )

    def standing_still(self, do: Callable[[], None]) -> None:
        """Do something while the guest's processors stand still and what it has written is in its disks' files.

        Raises InfraError when QEMU refuses.
        """
        self.monitor.ask("stop")
        try:
            do()
        finally:
            self.monitor.ask("cont")

    def shell(self) -> None:
        """Give the console to the person at the terminal until they leave (Ctrl-]) or the guest ends.

        Raises InfraError when there is no terminal or no shell in the guest.
        """
        self.send(channel.SHELL)
        interact(self.console_socket, self.log.write)

    def adopt(self, release: str = "") -> None:
        """Take a guest that was resumed from a saved state as ready: its greeting was said before it was saved."""
        self.kernel_release = release
        self._heard = time.monotonic()

    def list_tests(self, program: str, seconds: float = 10) -> str:
        """What a program prints for -l.

        Raises GuestEndedError when the guest does not survive it.
        """
        self.send(channel.list_tests(program))
        report = _Report()
        self._collect(report, Deadline(self._slow(seconds + AFTER_CASE)), self._slow(SILENCE))
        return report.text()

    def run_case(
        self,
        program: str,
        test: str | None = None,
        seconds: float = 20,
        silence: float = SILENCE,
        *,
        variables: tuple[str, ...] = (),
        host: Host | None = None,
        look: Look | None = None,
    ) -> RawResult:
        """Run one case to whatever end it comes. ``seconds`` are the case's own, as a plain kernel takes them.

        With ``variables`` (NAME=VALUE) it can ask the ``host`` for something.
        """
        report = _Report()
        start = Deadline(self._slow(seconds + AFTER_CASE))
        self._heard = time.monotonic()
        self._look, self._report = look, report
        if look:
            self.before(channel.HOLD)
        self.send(channel.run(program, test, self._slow(seconds), variables))
        return self._conclude(report, start, self._slow(silence), host)

    def follow_case(self, seconds: float, silence: float = SILENCE) -> RawResult:
        """Follow the case that the kernel's command line named (``channel.parameter``)."""
        self._heard = time.monotonic()
        return self._conclude(_Report(), Deadline(self._slow(seconds + AFTER_CASE)), self._slow(silence))

    def _conclude(self, report: _Report, start: Deadline, silence: float, host: Host | None = None) -> RawResult:
        ended, detail = Ended.DONE, ""
        try:
            if self._collect(report, start, silence, host) is Answer.CUT:
                ended = Ended.CUT
            elif report.timeout:
                ended, detail = Ended.TIMEOUT, f"did not end within {start.seconds - AFTER_CASE:g} s"
        except GuestEndedError as exc:
            ended, detail = exc.ended, exc.message
        except channel.ProtocolError as exc:
            ended, detail = Ended.LOST, exc.message
        if ended in (Ended.DONE, Ended.TIMEOUT, Ended.CUT):
            # What the kernel said of the unmount may still be in the console's socket.
            self._settle()
        return report.result(self, ended, detail, start.elapsed)

    def _settle(self, patience: float = 0.002) -> None:
        if self.options.exact:
            self._let_end(Deadline(AFTER_CASE))
        while self._open and self._selector.select(patience):
            self._pump(0)

    def _let_end(self, deadline: Deadline) -> None:
        """An exact guest ends by itself, and only then has its console said all: it may lag behind the case's words."""
        stands = bool(self.options.record or self.options.replay)
        while "console" in self._open and not deadline.expired:
            if stands and not self.monitor.ask("query-status")["running"]:
                return
            self._pump(0.02)

    def _collect(self, report: _Report, deadline: Deadline, silence: float, host: Host | None = None) -> Answer | None:
        """Take in all frames of a case; CUT when the host wants no more of them."""
        while True:
            frame = self._next(deadline, silence)
            if report.take(frame):
                return None
            if isinstance(frame, Event) and frame.word == "held":
                self._settle(0)
                self._show(Ended.TIMEOUT if report.timeout else Ended.DONE)
                self.send(channel.CLEAN)
            if host and isinstance(frame, Output) and frame.text.startswith(channel.ASKS):
                answer = host(frame.text[len(channel.ASKS) :].decode(errors="replace").strip())
                if answer is Answer.CUT:
                    return answer
                self._heard = time.monotonic()
                self.send(channel.GO if answer is Answer.GO else channel.END)


class _Report:
    """What the agent says of one case."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.timeout = False
        self.stopped = False
        self.unmount = ""
        self.left: list[str] = []
        self.events: list[str] = []
        self._output: list[bytes] = []
        self._size = 0

    def take(self, frame: Event | Output) -> bool:
        """Note one frame; true when it was the last."""
        if isinstance(frame, Output):
            self._keep(frame.text + (b"\n" if frame.whole else b""))
            return False
        if frame.word != "beat":
            self.events.append(str(frame))
        match frame:
            case Event("unmount", ("ok",)):
                self.unmount = "ok"
            case Event("unmount", ("error", errno)):
                self.unmount = errno
            case Event("mount", ("error", errno, _)):
                self.unmount = f"mount: {errno}"
            case Event("left", what):
                self.left.append(" ".join(what))
            case _:
                self._end(frame)
        return frame.word == "done"

    def _end(self, frame: Event) -> None:
        match frame:
            case Event("exit", (code,)):
                self.exit_code = int(code)
            case Event("signal", (number,)):
                self.signal = int(number)
            case Event("timeout"):
                self.timeout = True
            case Event("stopped"):
                self.stopped = True

    def _keep(self, data: bytes) -> None:
        if self._size < OUTPUT_MAX:
            self._output.append(data)
        elif self._size - len(data) < OUTPUT_MAX:
            self._output.append(b"# lab: more output was not kept\n")
        self._size += len(data)

    def text(self) -> str:
        return b"".join(self._output).decode(errors="replace")

    def result(self, machine: Machine, ended: Ended, detail: str, seconds: float) -> RawResult:
        return RawResult(
            ended=ended,
            detail=detail,
            exit_code=self.exit_code,
            signal=self.signal,
            stopped=self.stopped,
            ktap=self.text(),
            events=tuple(self.events),
            console=machine.log.path,
            console_from=after_marker(machine.log.path, channel.MARKER),
            console_to=machine.log.size if machine.console_to is None else machine.console_to,
            unmount=self.unmount,
            left=tuple(self.left),
            seconds=seconds,
            argv=machine.argv,
            qemu_exit=machine.child.poll(),
            qemu_stderr=machine.stderr,
        )


def boot_and_run(
    options: Options, console: Path, program: str, test: str | None = None, seconds: float = 20, *, sandbox: bool = True
) -> RawResult:
    """A case in a guest of its own, from power-on: a guest that never is ready is a result as well.

    Raises InfraError when QEMU cannot be started.
    """
    with Machine(options, console, sandbox=sandbox) as machine:
        try:
            machine.wait_ready()
        except BootError as exc:
            return machine.unborn(exc)
        return machine.run_case(program, test, seconds)
