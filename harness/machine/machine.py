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
import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path

from harness import process
from harness.errors import InfraError
from harness.machine import channel
from harness.machine.channel import Event, Output
from harness.machine.command import Options
from harness.machine.console import Alarm, interact
from harness.machine.deadline import Deadline
from harness.machine.outcome import Answer, BootError, Ended, GuestEndedError, Host, Look, RawResult
from harness.machine.report import Report
from harness.machine.wired import Birth, Wired

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


class Machine(Wired):
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
        super().__init__(options, console, sandbox=sandbox, gdb=gdb, birth=birth)
        self.kernel_release = ""
        self.ready_ms = 0
        self._patience: Deadline | None = None  # what an oops leaves of it
        self._unsent = b""
        self._starved: dict[int, float] = {}  # what its threads have been granted
        self._look: Look | None = None
        self._report: Report | None = None  # of the case that runs

    # Listening

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
                hint="its command was: " + shlex.join(self.argv),
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
        report = Report()
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
        report = Report()
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
        return self._conclude(Report(), Deadline(self._slow(seconds + AFTER_CASE)), self._slow(silence))

    def _conclude(self, report: Report, start: Deadline, silence: float, host: Host | None = None) -> RawResult:
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

    def _collect(self, report: Report, deadline: Deadline, silence: float, host: Host | None = None) -> Answer | None:
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
