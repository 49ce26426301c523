"""Words that a person got wrong: the nearest right one, and where the wrong one stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

MANY = 20
"""More names than this are no hint."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word the user most likely meant."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest of the known words, or all of them."""
    known = sorted(known)
    near = nearest(word, known)
    if near:
        return f"did you mean {near!r}?"
    if len(known) > MANY:
        return f"there are {len(known)}, {known[0]} to {known[-1]}: `lab list` shows what there is"
    return f"known: {', '.join(known)}" if known else "none is declared"


def line_of(text: str, key: str) -> int | None:
    """The line a key stands on: as ``key =``, or as the last name of a table head."""
    pattern = rf"^\s*(?:\[+[^\]\n]*?)?[\"']?{re.escape(key)}[\"']?\s*[\]=.]"
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None


def where(path: Path, text: str, key: str | None, word: str = "") -> str:
    """The place of a key for an error: file and line, or the file alone.

    A key may stand in many tables: the line that has the wrong ``word`` too is the one to look at.
    """
    lines = text.splitlines()
    both = (number for number, line in enumerate(lines, 1) if word and key and _has(line, key) and _has(line, word))
    line = next(both, None) or (line_of(text, word) if word else None) or (line_of(text, key) if key else None)
    return f"{path}:{line}" if line else str(path)


def _has(line: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line) is not None
