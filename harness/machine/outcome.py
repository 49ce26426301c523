"""What a guest can come to, in words and types: how it ended, what is known of its case, who is asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path

from harness.errors import LabError


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
