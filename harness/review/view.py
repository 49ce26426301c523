"""What the report shows of a patch: its diff line by line, with what ran each line and what was said of it. Pure."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk as UniHunk
from unidiff.patch import Line as UniLine
from unidiff.patch import PatchedFile, PatchSet

from harness.review.model import Added, Patch, Review, Said

MODES = re.compile(r"^old mode (\d+)\nnew mode (\d+)$", re.MULTILINE)
NAMED = 12
"""Cases that are named beside a line which many run: review.json has them all."""
KINDS = {"+": "add", "-": "gone", " ": ""}


@dataclass(frozen=True)
class Line:
    """A line of a diff. ``old`` and ``new`` are its numbers, 0 for none; ``ran`` None: it is not executable."""

    kind: str
    old: int
    new: int
    text: str
    ran: Added | None = None
    remarks: tuple[Said, ...] = ()

    @property
    def coverage(self) -> str:
        """The class of its mark: run, missed, or nothing."""
        return "" if self.ran is None else "run" if self.ran.cases else "missed"

    @property
    def by(self) -> str:
        """Who ran it, in a few words."""
        if self.ran is None:
            return ""
        first, *others = self.ran.cases or ("no case",)
        return first.rpartition("/")[2] + (f" +{len(others)}" if others else "")

    @property
    def by_all(self) -> str:
        """Who ran it, by full name."""
        cases = self.ran.cases if self.ran else ()
        more = f" and {len(cases) - NAMED} more" if len(cases) > NAMED else ""
        return ", ".join(cases[:NAMED]) + more or "run by no case"


@dataclass(frozen=True)
class Hunk:
    """A hunk with its header."""

    header: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class File:
    """A file of a patch. ``run`` of ``executable`` added lines were run. ``loose`` are remarks on lines not shown.

    ``notes`` are what its lines do not show: a new name, another mode, contents that are no text.
    """

    path: str
    added: int
    removed: int
    hunks: tuple[Hunk, ...]
    run: int
    executable: int
    loose: tuple[Said, ...] = ()
    notes: tuple[str, ...] = ()


def files(review: Review, patch: Patch) -> list[File]:
    """The files of a patch, in its order. Empty when the diff cannot be read as one (a binary patch)."""
    try:
        parsed = PatchSet(io.StringIO(patch.diff))
    except UnidiffParseError:
        return []
    covered = {
        (line.file, line.at): line
        for line in (review.coverage.lines if review.coverage else ())
        if line.patch == patch.number
    }
    said = [each for each in review.remarks if each.number == patch.number and each.file]
    return [_file(each, covered, said) for each in parsed]


def lines_run(review: Review, patch: Patch) -> tuple[int, int]:
    """How many of the executable lines that a patch adds were run, and how many there are."""
    own = [line for line in (review.coverage.lines if review.coverage else ()) if line.patch == patch.number]
    return sum(bool(line.cases) for line in own), len(own)


def general(review: Review, patch: Patch) -> list[Said]:
    """Remarks on a patch's message, or on all of it."""
    return [each for each in review.remarks if each.number == patch.number and not each.file]


def _file(parsed: PatchedFile, covered: Mapping[tuple[str, int], Added], said: Sequence[Said]) -> File:
    own = [each for each in said if each.file == parsed.path]
    shown: set[int] = set()
    hunks = tuple(Hunk(_header(hunk), tuple(_lines(parsed.path, hunk, covered, own, shown))) for hunk in parsed)
    here = [line for (path, _), line in covered.items() if path == parsed.path]
    loose = tuple(each for each in own if id(each) not in shown)
    run = sum(bool(each.cases) for each in here)
    return File(parsed.path, parsed.added, parsed.removed, hunks, run, len(here), loose, tuple(_notes(parsed)))


def _notes(parsed: PatchedFile) -> Iterator[str]:
    head = "".join(str(line) for line in parsed.patch_info or ())
    if parsed.is_rename:
        yield f"renamed from {parsed.source_file.removeprefix('a/')}"
    if parsed.is_added_file:
        yield "new"
    if parsed.is_removed_file:
        yield "removed"
    if modes := MODES.search(head):
        yield f"mode {modes[1]} to {modes[2]}"
    if parsed.is_binary_file or "GIT binary patch" in head:
        yield "a binary file"


def _header(hunk: UniHunk) -> str:
    return str(hunk).splitlines()[0]


def _lines(
    path: str, hunk: UniHunk, covered: Mapping[tuple[str, int], Added], said: Sequence[Said], shown: set[int]
) -> Iterator[Line]:
    for line in hunk:
        if line.line_type not in KINDS:
            continue
        old, new = line.source_line_no or 0, line.target_line_no or 0
        remarks = tuple(each for each in said if each.line == (old if each.removed else new) and _fits(each, line))
        shown |= {id(each) for each in remarks}
        ran = covered.get((path, new)) if line.line_type == "+" else None
        yield Line(KINDS[line.line_type], old, new, line.value.rstrip("\n"), ran, remarks)


def _fits(said: Said, line: UniLine) -> bool:
    return said.removed == (line.line_type == "-")
