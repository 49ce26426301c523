"""A patch from its quotation: files, hunks, what was cut out of them. Pure.

A hunk says how many lines it has, so one that was cut shows; a file's diffstat says how many lines change in it, so a
hunk or a file that was left out shows too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$")
STAT = re.compile(r"^ (?P<file>\S.*?)\s+\|\s+(?P<count>\d+)(?: [+-]*)?$")
HEADERS = (
    "index ", "new file mode ", "deleted file mode ", "old mode ", "new mode ", "similarity index ", "rename from ",
    "rename to ", "copy from ", "copy to ", "dissimilarity index ", "--- ", "+++ ", "Binary files ", "GIT binary patch",
)  # fmt: skip
DEFINITION = re.compile(r"^[A-Za-z_][^;=]*?\b(\w+)\s*\((?!.*;\s*$)")
NOT_A_FUNCTION = ("if", "for", "while", "switch", "return", "sizeof", "defined", "__attribute__")


@dataclass
class Hunk:
    """A hunk as it was quoted. ``old`` and ``new`` are the lines its header announces and that did not come."""

    header: str
    old_start: int
    new_start: int
    old: int
    new: int
    lines: list[str] = field(default_factory=list)
    cut_at: int | None = None

    @property
    def whole(self) -> bool:
        return self.old == 0 and self.new == 0

    @property
    def open(self) -> bool:
        """Whether lines are still to come."""
        return self.old > 0 or self.new > 0

    @property
    def section(self) -> str:
        found = HUNK.match(self.header)
        return found.group(5).strip() if found else ""

    def text(self) -> str:
        """The hunk with the counts of what is there."""
        counts = [sum(line[:1] in marks for line in self.lines) for marks in (" -", " +")]
        head = self.header
        if not self.whole:
            places = f"-{self.old_start},{counts[0]} +{self.new_start},{counts[1]}"
            head = f"@@ {places} @@" + (f" {self.section}" if self.section else "")
        return "".join(f"{line}\n" for line in [head, *self.lines])

    def place(self, index: int) -> tuple[int, bool]:
        """The line of the new file that ``lines[index]`` is, or of the old one (then True) when it is removed."""
        removed = self.lines[index].startswith("-")
        start, marks = (self.old_start, " -") if removed else (self.new_start, " +")
        before = sum(line[:1] in marks for line in self.lines[:index])
        return start + before, removed

    def function(self, index: int) -> str:
        """The function that ``lines[index]`` is in, as far as the hunk shows it."""
        for line in reversed(self.lines[: index + 1]):
            found = DEFINITION.match(line[1:])
            if line[:1] in " +" and found and found.group(1) not in NOT_A_FUNCTION:
                return found.group(1)
            if line[1:2] == "}" and line[:1] in " +" and line != self.lines[index]:
                return ""
        found = re.search(r"(\w+)\s*\(", self.section)
        return found.group(1) if found else ""


@dataclass
class File:
    """A file of the patch: its header lines and hunks."""

    headers: list[str]
    path: str = ""
    hunks: list[Hunk] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """Lines added and removed."""
        return sum(line[:1] in "+-" for hunk in self.hunks for line in hunk.lines)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.headers) + "".join(hunk.text() for hunk in self.hunks)


class Builder:
    """Takes a patch's lines one by one, as they were quoted."""

    def __init__(self) -> None:
        self.message: list[str] = []
        self.stat: dict[str, int] = {}
        self.files: list[File] = []

    @property
    def hunk(self) -> Hunk | None:
        """The hunk that was last begun."""
        return self.files[-1].hunks[-1] if self.files and self.files[-1].hunks else None

    def take(self, line: str, following: str = "") -> None:
        """The next line of the patch; ``following`` is the one after it."""
        if line.startswith("diff --git "):
            self.files.append(File([line], _named(line)))
        elif self._starts_plain(line, following):
            self.files.append(File([]))
            self._header(line)
        elif not self.files:
            self._message(line)
        elif found := HUNK.match(line):
            old, new = (int(number) if number is not None else 1 for number in (found.group(2), found.group(4)))
            self.files[-1].hunks.append(Hunk(line, int(found.group(1)), int(found.group(3)), old, new))
        elif self.hunk is not None:
            self._content(self.hunk, line)
        elif line.startswith(HEADERS):
            self._header(line)

    def cut(self) -> None:
        """Lines were left out here."""
        if self.hunk is not None and self.hunk.open:
            self.hunk.cut_at = len(self.hunk.lines)

    def _starts_plain(self, line: str, following: str) -> bool:
        """A patch without git's own headers begins a file with ``--- a/x`` and ``+++ b/x``."""
        if not (line.startswith("--- ") and following.startswith("+++ ")):
            return False
        if self.files and not self.files[-1].hunks:
            return any(each.startswith("--- ") for each in self.files[-1].headers)
        return self.hunk is None or not self.hunk.open

    def _header(self, line: str) -> None:
        file = self.files[-1]
        file.headers.append(line)
        if line.startswith(("--- ", "+++ ")) and not line.startswith(("--- /dev/null", "+++ /dev/null")):
            file.path = line[4:].split("\t")[0].partition("/")[2]

    def _message(self, line: str) -> None:
        self.message.append(line)
        found = STAT.match(line)
        if found:
            self.stat[found.group("file")] = int(found.group("count"))

    def _content(self, hunk: Hunk, line: str) -> None:
        if line.startswith("\\"):
            hunk.lines.append(line)
            return
        line = line or " "  # an empty line of context whose space a mailer took
        mark = line[:1]
        if not hunk.open or mark not in " +-":
            return
        hunk.old -= mark in " -"
        hunk.new -= mark in " +"
        hunk.lines.append(line)


def _named(line: str) -> str:
    return line.rpartition(" b/")[2]


def missing(builder: Builder) -> Iterator[str]:
    """What of the patch the quotation does not have, in words."""
    for file in builder.files:
        for hunk in file.hunks:
            if not hunk.whole:
                yield _cut(file, hunk)
        yield from _gaps(file)
        wanted = next((count for name, count in builder.stat.items() if _same_file(name, file.path)), None)
        if wanted is not None and wanted != file.changed:
            yield f"{file.path}: {file.changed} changed lines of the {wanted} that the diffstat has"
    quoted = [file.path for file in builder.files]
    for name, count in builder.stat.items():
        if not any(_same_file(name, path) for path in quoted):
            yield f"{name}: not quoted ({count} changed lines by the diffstat)"


def _cut(file: File, hunk: Hunk) -> str:
    where = "" if hunk.cut_at is None else f" after its line {hunk.cut_at}"
    context, added, removed = min(hunk.old, hunk.new), max(0, hunk.new - hunk.old), max(0, hunk.old - hunk.new)
    parts = [f"{added} or more added" if added else "", f"{removed} or more removed" if removed else ""]
    parts.append(f"up to {context} of context" if context else "")
    lines = ", ".join(part for part in parts if part)
    return f"{file.path}: a hunk was cut{where}: {hunk.header}: lines missing: {lines}"


def _gaps(file: File) -> Iterator[str]:
    """Hunks left out move what comes after them."""
    moved = 0
    for hunk in file.hunks:
        announced = hunk.new_start - hunk.old_start
        starts_or_ends = 0 in (hunk.old_start, hunk.new_start)  # a new or removed file
        if announced != moved and not starts_or_ends:
            yield f"{file.path}: a hunk is missing before {hunk.header}"
        found = HUNK.match(hunk.header)
        counts = [int(number) if number is not None else 1 for number in found.group(2, 4)] if found else [0, 0]
        moved = announced + counts[1] - counts[0]


def _same_file(stat: str, path: str) -> bool:
    """A diffstat shortens long names: ``.../filesystems/relink.rst``."""
    return stat == path or (stat.startswith("...") and path.endswith(stat[3:]))
