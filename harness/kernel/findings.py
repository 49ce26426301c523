"""What compilers and checkers complain of, as values. Pure.

The output of gcc, sparse and ``scripts/kernel-doc`` has one shape, that of ``scripts/checkpatch.pl`` (with --terse,
--show-types, --showfile) another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

COMPLAINT = re.compile(
    r"^(?P<file>[^\s:]+):(?:(?P<line>\d+):)?(?:(?P<column>\d+):)? "
    r"(?P<grade>warning|error|fatal error): (?P<text>.*?)(?: \[(?P<kind>-W[^\]]+)\])?$"
)
ASSEMBLER = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+): (?P<grade>Error|Warning): (?P<text>.*)$")
CHECKPATCH = re.compile(
    r"^(?P<file>.*?):(?P<line>\d+): (?P<grade>ERROR|WARNING|CHECK):(?P<kind>[A-Z0-9_]+): (?P<text>.*)$"
)
UNKNOWN_TARGET = re.compile(r"No rule to make target '([^']+)'|Nothing to be done for '([^']+)'")


class Finding(msgspec.Struct, frozen=True):
    """One complaint. ``file`` is its path from the top of the tree, ``line`` 0 when it has none.

    ``kind`` is what the checker calls it (``-Wunused-variable``, ``LONG_LINE``), or "" when it gives it no name.
    ``excused`` is the reason that the series declares for it: then it counts as explained.
    """

    file: str
    line: int
    grade: str
    kind: str
    text: str
    excused: str = ""

    @property
    def shown(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.grade}: {self.text}" + (f" [{self.kind}]" if self.kind else "")


def compiler(lines: Iterable[str]) -> tuple[Finding, ...]:
    """The complaints of gcc, as, objtool and kernel-doc in the output of a build, each once; all errors."""
    found = (COMPLAINT.match(line) or ASSEMBLER.match(line) for line in lines)
    return tuple(dict.fromkeys(_finding(each) for each in found if each and not _is_sparse(each)))


def sparse(lines: Iterable[str]) -> tuple[Finding, ...]:
    """The complaints of sparse in the output of a build that asked it too."""
    found = (COMPLAINT.match(line) for line in lines)
    return tuple(dict.fromkeys(_finding(each) for each in found if each and _is_sparse(each)))


def _is_sparse(found: re.Match[str]) -> bool:
    """gcc names the option of each warning, kernel-doc no column: what has a column and no name is of sparse."""
    parts = found.groupdict()
    return parts["grade"] == "warning" and bool(parts.get("column")) and not parts.get("kind")


def _finding(found: re.Match[str]) -> Finding:
    parts = found.groupdict()
    return Finding(
        file=_from_top(parts["file"]),
        line=int(parts["line"] or 0),
        grade=parts["grade"].lower(),
        kind=parts.get("kind") or "",
        text=parts["text"],
    )


def _from_top(path: str) -> str:
    """A build in build/ sees the source as ``../fs/namei.c``, headers as ``./include/x.h``."""
    return re.sub(r"^(?:\.\.?/)+", "", path)


def checkpatch(text: str, patch: str) -> tuple[Finding, ...]:
    """The reports of one run of checkpatch. What has no place in a file of the tree is told of ``patch``, without a
    line: checkpatch gives that of the last hunk.
    """
    found = (CHECKPATCH.match(line) for line in text.splitlines())
    return tuple(
        Finding(
            file=each["file"] or patch,
            line=int(each["line"]) if each["file"] else 0,
            grade=each["grade"].lower(),
            kind=each["kind"],
            text=each["text"],
        )
        for each in found
        if each
    )


def added(before: Iterable[Finding], after: Sequence[Finding]) -> tuple[Finding, ...]:
    """What ``after`` has and ``before`` had not. Lines move, so a complaint is the same when file and words are."""
    known = Counter(map(_sameness, before))
    new: list[Finding] = []
    for finding in after:
        if known[_sameness(finding)]:
            known[_sameness(finding)] -= 1
        else:
            new.append(finding)
    return tuple(new)


def _sameness(finding: Finding) -> tuple[str, str, str, str]:
    return finding.file, finding.grade, finding.kind, finding.text


def not_built(lines: Iterable[str]) -> tuple[str, ...]:
    """Objects that were asked for and that this configuration does not have."""
    found = (UNKNOWN_TARGET.search(line) for line in lines)
    return tuple(dict.fromkeys(_from_top(each.group(1) or each.group(2)) for each in found if each))
