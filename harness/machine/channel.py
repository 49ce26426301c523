"""The words between host and agent (images/tiny/agent.c), protocol 1. This docstring is their one home.

Lines of bytes, each ended by a newline, over the virtio-serial port ``lab``. The agent speaks first.

Host to agent, one command a line, words separated by one space::

    run SECONDS PROGRAM [TEST [NAME=VALUE]...]
                                 run /cases/PROGRAM, only TEST of it (fixture.variant.test, or the test's bare name; -
                                 for all), with these variables. With variables its input is what the host answers
    go                           while a case runs: a newline on its input, it asked for something and has it
    end                          while a case runs: end it now, as at the end of its time, and unmount
    list PROGRAM                 run it with -l: the kselftest harness prints what tests it has
    wait PROGRAM                 start it up to its main(); the next ``run`` of it goes on from there (late_main.c)
    hold                         stop behind the next case, before anything is cleaned up, and say ``held``
    clean                        go on after ``held``
    rehearse                     what is done around a case, once, with something harmless in its place
    clock SECONDS                set the wall clock (a guest resumed from a saved state believes it is still then)
    seed HEX                     32 bytes of entropy (a guest resumed from a saved state would repeat its numbers)
    shell                        a shell on the console, for a person
    quit                         end the machine

``lab.run=SECONDS,PROGRAM[,TEST]`` on the kernel's command line is a ``run`` and a ``quit`` without input, for guests
that are exact or recorded. ``lab.env=NAME=VALUE`` (up to 8 times) is a variable that programs see. ``lab.fs=``,
``lab.device=``, ``lab.mount=`` there say what is mounted on /mnt (no lab.fs: nothing); with ``lab.later=`` not before
the first ``run``. ``lab.slower=`` is how many times as long tasks may take to die, and a filesystem to be unmounted.

Agent to host. Output of a case is never taken for the agent's own word, since its lines come behind a mark::

    |TEXT                        a line of the case's output (standard output and error, as they came)
    +TEXT                        a part of one that is too long for a frame; its end comes as a | frame

Everything else is an event::

    hello PROTOCOL RELEASE       the agent runs, on a kernel of this release
    mount ok TYPE                /mnt is mounted
    mount error ERRNO TYPE       it cannot be; before ``ready`` this is the last word
    ready MILLISECONDS           commands are obeyed from now on; guest time since boot
    begin PROGRAM [TEST]         the case runs. The console got ``lab: case begins`` just before
    beat MILLISECONDS            every 300 ms while it runs: a case that does not end is not a guest that is silent
    waits ok PROGRAM | waits error PROGRAM
                                 the answer to ``wait``
    held                         the case is over, nothing is cleaned up; ``clean`` is waited for, ``shell`` obeyed
    rehearsed ok | rehearsed error
                                 the answer to ``rehearse``; ok: /mnt is mounted again, nothing was left
    left stuck | left tasks N | left mount PATH
                                 what the case left behind: tasks that SIGKILL does not end, tasks, a mount point
    exit CODE | signal NUMBER | timeout | stopped
                                 how it ended. On timeout the kernel's view of all tasks is on the console; stopped:
                                 by ``end``
    unmount ok | unmount error ERRNO
                                 ok: umount(2) worked and nothing holds the block device any more
    done                         that was all; the disk may be taken away, or another command sent
    unknown WORD                 not a command
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.catalogue import variables
from harness.errors import LabError

PROTOCOL = 1
MARKER = b"lab: case begins"
"""On the console, from the agent: kernel messages of the case start at the first line that has it."""

ASKS = b"# lab: "
"""A line of a case's output that begins so asks the host for what follows; it waits for the answer on its input."""

GO = b"go\n"
END = b"end\n"
SHELL = b"shell\n"
QUIT = b"quit\n"
HOLD = b"hold\n"
CLEAN = b"clean\n"
REHEARSE = b"rehearse\n"

FRAME_MAX = 64 * 1024
ENDINGS = ("exit", "signal", "timeout", "stopped")
WORDS = frozenset(
    (
        "hello",
        "mount",
        "ready",
        "waits",
        "begin",
        "beat",
        "held",
        "rehearsed",
        "left",
        *ENDINGS,
        "unmount",
        "done",
        "unknown",
    )
)
COUNTED = frozenset(("ready", "beat", "exit", "signal"))
"""Words that numbers follow."""
NUMBER = re.compile(r"-?[0-9]{1,12}")
NAME = re.compile(r"[\w.+@:-]+(/[\w.+@:-]+)*")


class ProtocolError(LabError):
    """The guest said something that is not the protocol: its kernel or its agent is broken."""

    whose = "guest"


@dataclass(frozen=True)
class Event:
    """A word of the agent's own and what follows it."""

    word: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.word, *self.arguments))


@dataclass(frozen=True)
class Output:
    """A piece of a case's output; ``whole`` when a line ends with it."""

    text: bytes
    whole: bool


def parse(line: bytes) -> Event | Output:
    """What one line from the agent (without its newline) means.

    Raises ProtocolError for what no agent says.
    """
    if line[:1] in (b"|", b"+"):
        return Output(line[1:], line[:1] == b"|")
    words = line.decode("ascii", errors="replace").split()
    if not words or words[0] not in WORDS:
        raise ProtocolError(f"not a word of the agent: {line[:80]!r}")
    if words[0] in COUNTED and not all(map(NUMBER.fullmatch, words[1:])):
        raise ProtocolError(f"not a number of the agent's: {line[:80]!r}")
    return Event(words[0], tuple(words[1:]))


class Framer:
    """Lines out of whatever pieces a socket delivers."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes.

        Raises ProtocolError when a line does not end within FRAME_MAX bytes.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > FRAME_MAX:
            raise ProtocolError(f"a frame of more than {FRAME_MAX} bytes")
        return lines


def _name(name: str) -> str:
    if not NAME.fullmatch(name) or ".." in name.split("/"):
        raise ValueError(f"not a name the agent can be told: {name!r}")
    return name


def run(program: str, test: str | None, seconds: float, variables: tuple[str, ...] = ()) -> bytes:
    """The command that runs a case; ``variables`` are NAME=VALUE.

    Raises ValueError for a name with blanks or one that leaves /cases, UserError for a variable that cannot be told.
    """
    words = ["run", f"{seconds:g}", _name(program)]
    words += [_name(test)] if test else ["-"] if variables else []
    return " ".join([*words, *(_pair(pair) for pair in variables)]).encode() + b"\n"


def list_tests(program: str) -> bytes:
    """The command that lists the tests of a program."""
    return f"list {_name(program)}\n".encode()


def wait(program: str) -> bytes:
    """The command that starts a program up to its main().

    Raises ValueError as ``run`` does.
    """
    return f"wait {_name(program)}\n".encode()


def seed(entropy: bytes) -> bytes:
    """The command that feeds the guest's random number generator, with 32 bytes."""
    return f"seed {entropy.hex()}\n".encode()


def clock(seconds: float) -> bytes:
    """The command that sets the guest's wall clock, in seconds since 1970."""
    return f"clock {seconds:.6f}\n".encode()


def _pair(pair: str) -> str:
    variables.check((pair,))
    return pair


def variable(pair: str) -> str:
    """The kernel parameter that gives programs a variable, as NAME=VALUE.

    Raises UserError for what the command line cannot carry.
    """
    return f"lab.env={_pair(pair)}"


def parameter(program: str, test: str | None, seconds: float) -> str:
    """The kernel parameter that runs a case without input."""
    return f"lab.run={seconds:g},{_name(program)}" + (f",{_name(test)}" if test else "")
