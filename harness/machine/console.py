"""The console: kept in a file by the host, watched while it comes, and handed to a person.

Only what decides whether to go on waiting is looked for here (panic, oops); what a complaint of the kernel means for
the case is read from the file afterwards, by harness.verdict. This is the one module that imports pexpect.
"""

from __future__ import annotations

import os
import re
import select
import socket
import sys
import termios
import tty
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

from harness.errors import InfraError

LINE_MAX = 4096
LOG_MAX = 32 * 1024 * 1024
"""Bytes kept of a console: a guest that prints without end must not fill the host's disk."""

PANIC = re.compile(rb"Kernel panic - not syncing")
OOPS = re.compile(
    rb"\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? ("
    rb"BUG: (?!workqueue lockup|sleeping function|scheduling while atomic|KASAN|KCSAN|KFENCE|KMSAN)|"
    rb"Oops(: |\s)|kernel BUG at |general protection fault|double fault|stack segment|invalid opcode|"
    rb"divide error|Unable to handle kernel)"
)
"""What kills the task it strikes, on a line the kernel wrote. Complaints that let the task go on are not among them,
nor is what a program did to itself (``traps: name[9] general protection fault ip:...`` begins otherwise)."""

ESCAPE = b"\x1d"
"""Ctrl-]: leaves a shell by hand."""


class Alarm(Enum):
    """What on the console changes how long it is worth waiting."""

    PANIC = "panic"
    OOPS = "oops"


PATTERNS = {Alarm.PANIC: PANIC, Alarm.OOPS: OOPS}


class Watch:
    """Looks at console bytes as they come, whatever pieces they come in. Each kind of alarm is told once."""

    def __init__(self) -> None:
        self._rest = b""
        self.first: dict[Alarm, str] = {}

    def feed(self, data: bytes) -> list[Alarm]:
        """The alarms that these bytes raise for the first time."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._complete(lines[0].decode(errors="replace").strip())
        found = [alarm for line in lines if (alarm := self._look(line, PATTERNS))]
        # A panicking kernel may die within the line: its beginning is enough. Others are told by how they go on.
        if alarm := self._look(self._rest, {Alarm.PANIC: PANIC}):
            found.append(alarm)
        self._rest = self._rest[-LINE_MAX:]
        return found

    def _complete(self, line: str) -> None:
        """A panic that was told by the beginning of its line is told whole once the line has ended."""
        begun = self.first.get(Alarm.PANIC)
        if begun and line.startswith(begun):
            self.first[Alarm.PANIC] = line

    def _look(self, line: bytes, patterns: Mapping[Alarm, re.Pattern[bytes]]) -> Alarm | None:
        for alarm, pattern in patterns.items():
            if alarm not in self.first and pattern.search(line):
                self.first[alarm] = line.decode(errors="replace").strip()
                return alarm
        return None


class Log:
    """The console's file. Bytes beyond ``LOG_MAX`` are dropped and counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.dropped = 0
        self._stream = path.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        room = max(0, LOG_MAX - self.size)
        self._stream.write(data[:room])
        self.size += min(room, len(data))
        self.dropped += max(0, len(data) - room)

    def close(self) -> None:
        if self.dropped and not self._stream.closed:
            self._stream.write(f"\nlab: {self.dropped} more bytes were not kept\n".encode())
        self._stream.close()


def after_marker(path: Path, marker: bytes) -> int:
    """Where the line with the first ``marker`` begins in a console file, in bytes; its size when it is not there.

    The first, since a case may print the marker again but not before it began.
    """
    data = path.read_bytes()
    at = data.find(marker)
    return len(data) if at < 0 else data.rfind(b"\n", 0, at) + 1


def interact(console: socket.socket, keep: Callable[[bytes], None]) -> None:
    """Join the person's terminal to the guest's console until Ctrl-] or the guest's end; ``keep`` gets all it says.

    Raises InfraError when standard input is no terminal or the shell does not answer.
    """
    if not sys.stdin.isatty():
        raise InfraError("a shell needs a terminal", hint="run it from one; `lab run` takes cases without")
    greeting = wait_for_prompt(console)
    keep(greeting)
    os.write(sys.stdout.fileno(), greeting)
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    try:
        tty.setraw(stdin)
        _pump(console, stdin, keep)
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def wait_for_prompt(console: socket.socket, prompt: bytes = b"# ", timeout: float = 20) -> bytes:
    """What the console says up to and with the shell's prompt, within ``timeout`` seconds.

    Raises InfraError when it does not come in time.
    """
    import pexpect
    from pexpect.socket_pexpect import SocketSpawn

    child = SocketSpawn(console, timeout=timeout)
    try:
        child.expect_exact(prompt)
    except (pexpect.TIMEOUT, pexpect.EOF) as exc:
        raise InfraError("the guest's shell does not answer") from exc
    return bytes(child.before) + bytes(child.after)


def _pump(console: socket.socket, stdin: int, keep: Callable[[bytes], None]) -> None:
    while True:
        ready, _, _ = select.select([console.fileno(), stdin], [], [])
        if console.fileno() in ready:
            data = console.recv(65536)
            if not data:
                return
            keep(data)
            os.write(sys.stdout.fileno(), data)
        if stdin in ready:
            typed = os.read(stdin, 1024)
            if not typed or ESCAPE in typed:
                return
            console.sendall(typed)
