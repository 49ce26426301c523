"""What a cover letter says of its series, held against what the series is. Pure.

A list of patches, a diffstat, base-commit and prerequisite-patch-id lines as ``git format-patch --cover-letter --base``
writes them: each is wrong as soon as a patch changes and the letter does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.kernel.findings import Finding

LIST = re.compile(r"^\S.* \((\d+)\):\n((?:  .*\n)+)", re.MULTILINE)
STAT = re.compile(r"^ (\S.*?) +\| +(\d+|Bin\b.*?)(?: [+-]*)?$", re.MULTILINE)
SUMMARY = re.compile(r"^ (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?$", re.MULTILINE)
BASE = re.compile(r"^base-commit: ([0-9a-f]{7,40})$", re.MULTILINE)
PREREQUISITE = re.compile(r"^prerequisite-patch-id: ([0-9a-f]{40})$", re.MULTILINE)


@dataclass(frozen=True)
class Truth:
    """What the series is. ``stat`` has insertions and deletions by file, ``below`` the ids of the patches below it."""

    titles: tuple[str, ...]
    stat: dict[str, tuple[int, int]]
    base: str
    below: tuple[str, ...]


def complaints(letter: str, file: str, truth: Truth) -> tuple[Finding, ...]:
    """Where the letter is not true; what it does not speak of is no complaint, but the list of patches is."""
    found = [*_list(letter, truth), *_stat(letter, truth), *_base(letter, truth)]
    return tuple(Finding(file, _line(letter, at), "error", "COVER_LETTER", text) for at, text in found)


def _line(letter: str, at: int) -> int:
    return letter.count("\n", 0, at) + 1


def _list(letter: str, truth: Truth) -> Iterator[tuple[int, str]]:
    found = LIST.search(letter)
    if not found:
        yield 0, "it has no list of the patches"
        return
    # git wraps a long title; the rest of it is indented further.
    listed = re.sub(r"\n {4,}", " ", found.group(2)).splitlines()
    titles = [line.strip() for line in listed]
    if int(found.group(1)) != len(truth.titles):
        yield found.start(), f"it speaks of {found.group(1)} patches, the series has {len(truth.titles)}"
    for number, (said, true) in enumerate(zip(titles, truth.titles, strict=False), 1):
        if said != true:
            yield found.start(), f"it lists patch {number} as {said!r}, which is {true!r}"
            return
    if len(titles) != len(truth.titles):
        yield found.start(), f"it lists {len(titles)} patches, the series has {len(truth.titles)}"


def _stat(letter: str, truth: Truth) -> Iterator[tuple[int, str]]:
    said = [(found.start(), found.group(1), found.group(2)) for found in STAT.finditer(letter)]
    summary = SUMMARY.search(letter)
    if summary:
        numbers = tuple(int(number or 0) for number in summary.groups())
        true = (len(truth.stat), *(sum(each[at] for each in truth.stat.values()) for at in (0, 1)))
        if numbers != true:
            yield (
                summary.start(),
                "its diffstat has {} files, +{} -{}".format(*numbers) + "; it is {}, +{} -{}".format(*true),
            )
    for at, name, count in said:
        full = _full(name, truth.stat)
        if full is None:
            yield at, f"its diffstat has {name}, which the series does not touch"
        elif count.isdigit() and int(count) != sum(truth.stat[full]):
            yield at, f"its diffstat has {count} lines for {full}; it is {sum(truth.stat[full])}"


def _full(name: str, names: Sequence[str] | dict[str, tuple[int, int]]) -> str | None:
    """A file of the diffstat by its name, which git shortens from the left to ``.../end``."""
    if not name.startswith(".../"):
        return name if name in names else None
    return next((each for each in names if each.endswith(name.removeprefix("..."))), None)


def _base(letter: str, truth: Truth) -> Iterator[tuple[int, str]]:
    base = BASE.search(letter)
    if base and not truth.base.startswith(base.group(1)):
        yield base.start(), f"its base-commit is {base.group(1)[:12]}; the base is {truth.base[:12]}"
    said = [found.group(1) for found in PREREQUISITE.finditer(letter)]
    if said and tuple(said) != truth.below:
        odd = next((at for at, (one, other) in enumerate(zip(said, truth.below, strict=False)) if one != other), None)
        which = f"number {odd + 1} is another" if odd is not None else f"it has {len(said)} of {len(truth.below)}"
        first = PREREQUISITE.search(letter)
        yield first.start() if first else 0, f"its prerequisite-patch-ids are not those of what it requires: {which}"
