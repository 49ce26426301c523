"""What a program that nobody trusts may use up before it is ended: processes, time, patience."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WATCH = 0.2
"""Seconds between two looks."""


@dataclass(frozen=True)
class Limits:
    """What a program that is not trusted may use up before it is ended.

    ``processes`` at once (counted in a sandbox only), ``silence`` seconds without a line of output, ``seconds`` in all.
    """

    processes: int
    silence: float
    seconds: float


class Guard:
    """Watches a child from a thread of its own and ends it when it passes a limit."""

    def __init__(self, pid: int, limits: Limits) -> None:
        self.pid = pid
        self.limits = limits
        self.began = self.heard = time.monotonic()
        self.passed = ""
        self.over = threading.Event()

    def hear(self) -> None:
        """It said something."""
        self.heard = time.monotonic()

    def watch(self) -> None:
        while not self.over.wait(WATCH):
            self.passed = self._judge()
            if self.passed:
                self._end()
                return

    def _judge(self) -> str:
        now, limits = time.monotonic(), self.limits
        if now - self.began > limits.seconds:
            return f"did not end within {limits.seconds:g} s"
        if now - self.heard > limits.silence:
            return f"said nothing for {limits.silence:g} s"
        if len(_inside(self.pid)) > limits.processes:
            return f"ran more than {limits.processes} processes at once"
        return ""

    def _end(self) -> None:
        # The first process of a namespace takes all others with it, however fast they multiply.
        inside = sorted(_inside(self.pid))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in inside:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def watched(pid: int, limits: Limits | None) -> Iterator[Guard]:
    """Watch a program while the context lasts; ``passed`` of the guard says afterwards which limit was, if any."""
    guard = Guard(pid, limits or Limits(0, 0, 0))
    if limits is None:
        yield guard
        return
    thread = threading.Thread(target=guard.watch, name="guard", daemon=True)
    thread.start()
    try:
        yield guard
    finally:
        guard.over.set()
        thread.join()


def _inside(guard: int) -> set[int]:
    """The processes in the pid namespace that bubblewrap (``guard``) has made for its child. Empty without one."""
    spaces: dict[int, str] = {}
    own = ""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            spaces[int(entry.name)] = str((entry / "ns" / "pid").readlink())
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == guard:
                own = spaces[int(entry.name)]
    ours = str(Path("/proc/self/ns/pid").readlink())
    return {pid for pid, space in spaces.items() if space == own} if own and own != ours else set()
