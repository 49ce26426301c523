"""What a kernel build's output says: how far it is, and what broke it first. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

OBJECT = re.compile(r"  [A-Z][A-Z0-9_]+(?: \[M\])? +(\S+\.o)$")
"""kbuild's line for an object: ``  CC      fs/namei.o``. Headers and scripts take no time worth counting."""

FAULTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^\S+?:\d+:(?:\d+:)? (?:fatal )?error: ",
        r"^\S+?:\d+: Error: ",  # the assembler
        r"undefined reference to ",
        r"multiple definition of ",
        r"^(?:\S+/)?ld(?:\.\w+)?: (?!warning)",
        r"^(?:cc1|gcc|clang|as|objtool|fixdep|collect2)\b.*\berror\b",
        r"\bobjtool: .*(?:error|Error|failed)",
        r"^ERROR: modpost: ",
        r"^error: ",
        r"No rule to make target ",
        r"^\S+:\d+: \*\*\* ",  # make, in a Makefile
        r"^\S+:\d+: syntax error",  # Kconfig
        r"recursive dependency detected",
        r"^make(?:\[\d+\])?: \*\*\* (?!Waiting for unfinished)",
    )
)
"""From the most telling to the least: the first line of the best kind there is."""

HOST_FAULTS = (
    (re.compile(r"No space left on device"), "the disk is full"),
    (re.compile(r"Disk quota exceeded"), "the disk quota is used up"),
    (
        re.compile(r"^(?:cc1|virtual memory exhausted|ld|as|make)\b.*(?:[Oo]ut of memory|Cannot allocate)"),
        "no memory left",
    ),
    (re.compile(r"terminated program \w+|^make.*\bKilled\b"), "the host killed the compiler (no memory left?)"),
)
QUOTED = re.compile(r"^ *\d* \|")
"""gcc shows the source line and a caret under an error: lines like ``  123 |   foo();``."""


def made(line: str) -> str | None:
    """The object that a line of output says is made (``fs/namei.o``), or None for other lines."""
    found = OBJECT.fullmatch(line)
    return found.group(1) if found else None


def first_error(lines: Sequence[str]) -> str:
    """The error that broke the build, with the compiler's quotation under it. Empty when there is none to be seen."""
    for fault in FAULTS:
        for at, line in enumerate(lines):
            if fault.search(line):
                return "\n".join(map(_plain, [*_context(lines, at), line, *_quotation(lines, at)]))
    return ""


def _context(lines: Sequence[str], at: int) -> list[str]:
    """``In function 'f':`` stands before the linker's and the compiler's errors."""
    before = lines[at - 1] if at else ""
    return [before] if re.search(r": [Ii]n function .*:$", before) else []


def _quotation(lines: Sequence[str], at: int) -> list[str]:
    quoted: list[str] = []
    for line in lines[at + 1 : at + 4]:
        if not QUOTED.match(line):
            break
        quoted.append(line)
    return quoted


def _plain(line: str) -> str:
    """Paths from the top of the source: a build in build/ sees them as ../fs/namei.c."""
    return re.sub(r"(?<![\w./])\.\./(?=\w)", "", line)


def host_fault(lines: Sequence[str]) -> str | None:
    """Why the host, not the tree, broke the build, or None."""
    for line in lines:
        for sign, meaning in HOST_FAULTS:
            if sign.search(line) and not QUOTED.match(line):
                return f"{meaning}: {line.strip()}"
    return None
