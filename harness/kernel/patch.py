"""A diff as text: which files it names, which hunks it has. Pure; git alone applies."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
DIFF_GIT = b"diff --git "
EXTENDED = (b"rename from ", b"rename to ", b"copy from ", b"copy to ")
SIGNATURE = re.compile(rb"^-- ?\r?\n", re.MULTILINE)


@dataclass(frozen=True)
class Hunk:
    """One hunk: ``before`` are the lines it wants to find from line ``old_start`` on."""

    file: str
    header: str
    old_start: int
    before: tuple[str, ...]


def diff_of(body: bytes) -> bytes:
    """The part of a mail's body (or of a file) that is a diff: from its first file to the mail's signature."""
    found = re.search(rb"^diff --git |^--- \S.*\n\+\+\+ \S", body, re.MULTILINE)
    if not found:
        return b""
    return b"".join(line for _, line in _lines(body[found.start() :]))


def _lines(diff: bytes) -> Iterator[tuple[bool, bytes]]:
    """Each line, and whether it belongs to a hunk's content. Ends where a mail's signature begins.

    A hunk says how many lines it has, so a removed line that reads ``-- a/../b`` is never taken for a file's name.
    """
    old = new = 0
    for line in io.BytesIO(diff):
        content = old > 0 or new > 0
        if content:
            mark = line[:1]
            old -= mark in (b" ", b"-", b"\n", b"\r")
            new -= mark in (b" ", b"+", b"\n", b"\r")
        elif found := HUNK.match(line):
            old, new = (int(number) if number is not None else 1 for number in (found.group(2), found.group(4)))
        elif SIGNATURE.match(line):
            return
        yield content, line


def paths(diff: bytes) -> Iterator[tuple[bytes, str]]:
    """Every path the diff's headers name, with the line that names it; ``a/`` and ``b/`` are taken off."""
    for content, line in _lines(diff):
        if content:
            continue
        line = line.rstrip(b"\r\n")
        if line.startswith((b"--- ", b"+++ ")):
            name = _unquote(line[4:].split(b"\t")[0])
            if name != "/dev/null":
                yield line, _strip(name)
        elif line.startswith(EXTENDED):
            yield line, _unquote(line.split(b" ", 2)[2])
        elif line.startswith(DIFF_GIT):
            for name in _both(line.removeprefix(DIFF_GIT)):
                yield line, _strip(name)


def _both(text: bytes) -> list[str]:
    """The two names of a ``diff --git`` line, which has no mark between them but a space."""
    if text.startswith(b'"'):
        return [_unquote(quoted) for quoted in re.findall(rb'"(?:[^"\\]|\\.)*"', text)]
    middle = text.find(b" b/")
    parts = [text[:middle], text[middle + 1 :]] if middle >= 0 else text.split(b" ", 1)
    return [_unquote(part) for part in parts]


def _unquote(name: bytes) -> str:
    """Git quotes odd names as C does."""
    name = name.strip()
    if len(name) >= 2 and name.startswith(b'"') and name.endswith(b'"'):
        escapes = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"v": b"\v", b"f": b"\f"}

        def plain(found: re.Match[bytes]) -> bytes:
            code = found.group(1)
            return bytes([int(code, 8) & 0xFF]) if code[:1].isdigit() else escapes.get(code, code)

        name = re.sub(rb"\\([0-7]{3}|.)", plain, name[1:-1])
    return name.decode(errors="surrogateescape")


def _strip(name: str) -> str:
    """A path without its first component, as ``-p1`` takes it. What has none, or begins with /, stays as it is."""
    return name if name.startswith("/") else name.partition("/")[2] or name


def unsafe(name: str) -> str | None:
    """Why a path of a patch must not be followed, or None."""
    parts = name.split("/")
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in parts:
        return "leaves the tree"
    if any(part.rstrip(". ").lower() in (".git", "git~1") for part in parts):
        return "reaches into git's own files"
    if "\0" in name:
        return "has a NUL in it"
    return None


def hunks(diff: bytes) -> Iterator[Hunk]:
    """All hunks of a diff in order."""
    file, header, start = "", "", 0
    before: list[str] = []
    for content, raw in _lines(diff):
        line = raw.rstrip(b"\r\n")
        if content:
            if raw[:1] in (b" ", b"-"):
                before.append(line[1:].decode(errors="replace"))
            elif not line:
                before.append("")
            continue
        if header:
            yield Hunk(file, header, start, tuple(before))
            header = ""
        if line.startswith(b"--- ") or (line.startswith(b"+++ ") and file == "/dev/null"):
            file = _strip(_unquote(line[4:].split(b"\t")[0]))
        elif found := HUNK.match(line):
            header, start, before = line.decode(errors="replace"), int(found.group(1)), []
    if header:
        yield Hunk(file, header, start, tuple(before))


def counts(diff: bytes) -> tuple[int, int]:
    """How many lines a diff adds, and how many it removes."""
    content = [line[:1] for is_content, line in _lines(diff) if is_content]
    return content.count(b"+"), content.count(b"-")


def touched_lines(diff: str) -> tuple[frozenset[tuple[str, int]], frozenset[tuple[str, int]]]:
    """The lines that a diff removes (as they were numbered) and those it adds (as they are), each with its file."""
    from unidiff.patch import PatchSet

    placed = [(file.path, line) for file in PatchSet(diff) for hunk in file for line in hunk]
    return (
        frozenset((file, line.source_line_no or 0) for file, line in placed if line.is_removed),
        frozenset((file, line.target_line_no or 0) for file, line in placed if line.is_added),
    )
