"""gdb on a guest: on a socket file in a private folder, so that no port is opened."""

from __future__ import annotations

import socket
from pathlib import Path

COMMANDS = Path(__file__).with_name("gdb_commands.py")


def listener(path: Path) -> socket.socket:
    """A listening socket for the guest's end."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(1)
    return made


def run(symbols: Path, target: Path, commands: tuple[str, ...], control: Path | None = None) -> int:
    """Give the terminal to gdb, connected to the guest at ``target``; with ``commands`` it runs these and ends.

    ``control`` is where a replay takes requests: then gdb gets the commands that travel. Returns its exit code.
    """
    from harness import process

    argv = ["gdb", "-q", "-nx", *(["-batch"] if commands else [])]
    argv += [str(symbols)] if symbols.is_file() else []
    setting = ["set pagination off", "set architecture i386:x86-64"]
    setting += [f"source {COMMANDS}"] if control else []
    env = {"LAB_CONTROL": str(control)} if control else {}
    every = (*setting, f"target remote {target}", *commands)
    return process.foreground([*argv, *(word for each in every for word in ("-ex", each))], env)
