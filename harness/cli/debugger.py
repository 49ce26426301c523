"""gdb on a guest: on a socket file in a private folder, so that no port is opened."""

from __future__ import annotations

import socket
from pathlib import Path


def listener(folder: Path) -> socket.socket:
    """A listening socket for the guest's end."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(folder / "gdb"))
    made.listen(1)
    return made


def run(symbols: Path, folder: Path, commands: tuple[str, ...]) -> int:
    """Give the terminal to gdb, connected to the guest; with ``commands`` it runs these and ends. Its exit code."""
    from harness import process

    setting = ("set pagination off", "set architecture i386:x86-64", f"target remote {folder / 'gdb'}")
    argv = ["gdb", "-q", "-nx", *(["-batch"] if commands else [])]
    argv += [str(symbols)] if symbols.is_file() else []
    return process.foreground([*argv, *(word for each in (*setting, *commands) for word in ("-ex", each))])
