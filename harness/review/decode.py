"""Stack traces with file and line beside each frame, as the kernel's scripts/decode_stacktrace.sh has them.

A kernel knows its lines when it was built with the fragment ``debug``; of any other, traces stay as they were printed.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from harness import process
from harness.errors import LabError

FRAME = re.compile(r"(?<![\w.])(?P<name>[A-Za-z_][\w.]*)\+0x(?P<offset>[0-9a-f]+)/0x[0-9a-f]+")
UNKNOWN = re.compile(r"^\?\?:|:\?$|:0$")


def lines(kernel: Path, trace: Sequence[str]) -> tuple[str, ...]:
    """A complaint's lines, each frame with where it is. ``kernel`` is the kernel's folder in the cache."""
    places = _places(kernel, tuple(dict.fromkeys(found.group() for line in trace for found in FRAME.finditer(line))))
    return tuple(_decoded(line, places) for line in trace)


def _decoded(line: str, places: dict[str, str]) -> str:
    found = FRAME.search(line)
    place = places.get(found.group(), "") if found else ""
    return f"{line}  ({place})" if place else line


def _places(kernel: Path, frames: Sequence[str]) -> dict[str, str]:
    """``name+0x1/0x2`` to ``fs/namei.c:12``, innermost inlined function first."""
    symbols, debug = kernel / "System.map", kernel / "vmlinux.debug"
    if not frames or not symbols.is_file() or not debug.is_file():
        return {}
    addresses = {frame: address for frame in frames if (address := _address(symbols, frame))}
    try:
        argv = ["addr2line", "--addresses", "--inlines", "-e", os.fspath(debug)]
        sandbox = process.Sandbox(readable=(kernel,))
        said = process.run([*argv, *(hex(each) for each in addresses.values())], sandbox=sandbox).stdout
    except LabError:
        return {}
    by_address: dict[int, list[str]] = {}
    for line in said.splitlines():
        if line.startswith("0x"):
            own = by_address.setdefault(int(line, 16), [])
        elif not UNKNOWN.search(line.partition(" (")[0]):
            own.append(_from_top(line.partition(" (")[0]))
    return {frame: ", in ".join(by_address.get(address, [])) for frame, address in addresses.items()}


def _address(symbols: Path, frame: str) -> int:
    found = FRAME.fullmatch(frame)
    known = _symbols(symbols)
    return known[found["name"]] + int(found["offset"], 16) if found and found["name"] in known else 0


@functools.lru_cache(maxsize=4)
def _symbols(path: Path) -> dict[str, int]:
    """Addresses by name. Of a static function that there are several of, none: it could be any."""
    seen: dict[str, int] = {}
    twice: set[str] = set()
    for line in path.read_text().splitlines():
        address, _, name = line.split(maxsplit=2)
        twice |= {name} & seen.keys()
        seen[name] = int(address, 16)
    return {name: address for name, address in seen.items() if name not in twice}


def _from_top(place: str) -> str:
    """The compiler saw the source from ``build/``."""
    return re.sub(r"^.*/build/(?:\.\./)?|^(?:\.\.?/)+", "", place)
