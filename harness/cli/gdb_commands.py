"""Read by gdb, not by the lab: commands that go anywhere in a replay, backwards too (harness/runner/rewind.py).

lab-where                 the instruction the guest stands at, counted from power-on
lab-goto ICOUNT           stand there
lab-reverse-stepi [N]     stand N instructions before (1)
"""

from __future__ import annotations

import os
import socket

import gdb

CONTROL = "LAB_CONTROL"


def ask(request: str) -> list[str]:
    """The lab's answer, in words.

    Raises gdb.GdbError with what the lab complains about.
    """
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(os.environ[CONTROL])
        with wire.makefile("rw") as stream:
            stream.write(request + "\n")
            stream.flush()
            answer = stream.readline().split()
    if answer[:1] != ["at"]:
        raise gdb.GdbError(" ".join(answer[1:]) or "the lab is gone")
    return answer


def travel(request: str) -> None:
    """Have the lab replay up to somewhere, and take the guest that stands there."""
    target = ask(request) if request.startswith("goto") else ask(f"goto {int(ask('where')[1]) - int(request)}")
    gdb.execute("disconnect")
    gdb.execute(f"target remote {target[2]}")


def number(argument: str, default: int) -> int:
    """What was typed, as gdb understands it."""
    return int(gdb.parse_and_eval(argument)) if argument.strip() else default


class Where(gdb.Command):  # type: ignore[misc]  # gdb's own module has no types
    """lab-where: the instruction the guest stands at, counted from power-on."""

    def __init__(self) -> None:
        super().__init__("lab-where", gdb.COMMAND_RUNNING)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        gdb.write(f"instruction {int(ask('where')[1]):,}\n")


class Goto(gdb.Command):  # type: ignore[misc]  # gdb's own module has no types
    """lab-goto ICOUNT: stand at that instruction, before or behind this one."""

    def __init__(self) -> None:
        super().__init__("lab-goto", gdb.COMMAND_RUNNING)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        if not argument.strip():
            raise gdb.GdbError("lab-goto ICOUNT")
        travel(f"goto {number(argument, 0)}")


class ReverseStepi(gdb.Command):  # type: ignore[misc]  # gdb's own module has no types
    """lab-reverse-stepi [N]: stand N instructions before this one."""

    def __init__(self) -> None:
        super().__init__("lab-reverse-stepi", gdb.COMMAND_RUNNING)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        travel(str(number(argument, 1)))


Where()
Goto()
ReverseStepi()
