"""Two states of a file as assembly (``gcc -S -fverbose-asm``): what differs without having been touched. Pure.

gcc says with each group of instructions which source line it is of, inlined ones too. So a function may differ when
a line of the functions it is made of was touched; when none was, the patch changes code outside its lines. Kernel
style, with a function's braces in the first column, tells which lines make a function.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

Lines = frozenset[tuple[str, int]]
"""Source lines: file from the top of the tree, number."""

BEGIN = re.compile(r"^\t\.type\t(\S+), @function$")
END = re.compile(r"^\t\.size\t(\S+), ")
TOLD = re.compile(r"^# (\S+?):(\d+):")
STRING = re.compile(r'^\t\.string\t(".*")$')
LABEL = re.compile(r"\.L[\w.$]+")
DEFINED = re.compile(r"^(\.L[\w.$]+):")
NUMBERED = re.compile(r"\b([A-Za-z_]\w*)\.\d+\b")
WORD = re.compile(r"[A-Za-z]\w{2,}")
UNIQUE = re.compile(r"(__UNIQUE_ID_\w*?)\d+\b")
LINE_OF_BUG = "bug_entry::line"
"""BUG() and WARN() keep their line number in a table: it moves with the text, the code does not."""


@dataclass(frozen=True)
class Function:
    """A function's instructions without what only numbers them, and the source lines they are of."""

    name: str
    code: tuple[str, ...]
    lines: Lines

    @property
    def place(self) -> tuple[str, int]:
        """Where it begins; ("", 0) when the compiler says nothing of it."""
        return min(self.lines, key=lambda each: (each[0].endswith(".h"), each), default=("", 0))


@dataclass(frozen=True)
class Difference:
    """A function whose code differs: ``before`` or ``after`` is None where there is none."""

    before: Function | None
    after: Function | None

    @property
    def any(self) -> Function:
        function = self.after or self.before
        assert function is not None
        return function

    @property
    def words(self) -> str:
        """The first instruction that differs."""
        if self.before is None or self.after is None:
            return "is there now" if self.before is None else "is gone"
        pairs = zip((*self.before.code, "its end"), (*self.after.code, "its end"), strict=False)
        old, new = next((old, new) for old, new in pairs if old != new)
        return f"has {' '.join(new.split())!r} where it had {' '.join(old.split())!r}"


@dataclass(frozen=True)
class Source:
    """A C file: its path from the top of the tree, and its text."""

    file: str
    text: str

    @cached_property
    def spans(self) -> dict[int, range]:
        """The lines of the function around each line that is in one, from its head to its closing brace."""
        found: dict[int, range] = {}
        lines = self.text.splitlines()
        head = begin = 0
        for number, line in enumerate(lines, 1):
            if line.startswith("{"):
                begin = head or number
            elif line.startswith("}") and begin:
                found |= dict.fromkeys(range(begin, number + 1), range(begin, number + 1))
                begin = 0
            if not line.strip() or line.startswith(("}", "#", " *", "/*")) or line.endswith((";", "*/")):
                head = 0
            elif not head:
                head = number
        return found


def functions(text: str, source: Source) -> dict[str, Function]:
    """The functions of a file of assembly, compiled from ``source``, by name."""
    lines = text.splitlines()
    strings = _strings(lines)
    found: dict[str, Function] = {}
    reading: _Reading | None = None
    for line in lines:
        if begin := BEGIN.match(line):
            reading = _Reading(_plain(begin.group(1)), strings, source)
        elif reading and (end := END.match(line)) and _plain(end.group(1)) == reading.name:
            found[reading.name] = reading.done()
            reading = None
        elif reading:
            reading.take(line)
    return found


def _strings(lines: list[str]) -> dict[str, str]:
    """The text behind each label of a string constant."""
    found: dict[str, str] = {}
    for line, following in itertools.pairwise(lines):
        label, string = DEFINED.match(line), STRING.match(following)
        if label and string:
            found[label.group(1)] = string.group(1)
    return found


@dataclass
class _Reading:
    """A function that is being read."""

    name: str
    strings: Mapping[str, str]
    source: Source
    code: list[str] = field(default_factory=list)
    lines: set[tuple[str, int]] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        told = TOLD.match(line)
        if told:
            self._of(re.sub(r"^(?:\.\.?/)+", "", told.group(1)), int(told.group(2)))
            return
        if line.startswith("#") or LINE_OF_BUG in line:
            return
        instruction = line.partition("#")[0].rstrip()
        if instruction:
            self.code.append(LABEL.sub(self._label, _plain(instruction)))

    def _of(self, file: str, number: int) -> None:
        around = self.source.spans.get(number, ()) if file == self.source.file else ()
        self.lines |= {(file, number), *((file, each) for each in around)}

    def _label(self, found: re.Match[str]) -> str:
        name = found.group()
        return self.strings.get(name) or self.labels.setdefault(name, f".L{len(self.labels)}")

    def done(self) -> Function:
        return Function(self.name, tuple(self.code), frozenset(self.lines))


def _plain(text: str) -> str:
    """Names without the numbers that the compiler gives to make them unique."""
    return UNIQUE.sub(r"\1", NUMBERED.sub(r"\1", text))


State = tuple[str, Source]
"""A file's assembly and its source."""


def untouched(before: State, after: State, removed: Lines, added: Lines) -> Iterator[Difference]:
    """Functions that differ between two states of a file though none of their source lines was removed or added."""
    old, new = functions(*before), functions(*after)
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if one and other and one.code == other.code:
            continue
        if not (one and _is_of(one, before[1], removed)) and not (other and _is_of(other, after[1], added)):
            yield Difference(one, other)


def _is_of(function: Function, source: Source, touched: Lines) -> bool:
    """Whether a function is made of touched lines. Of one that a macro made outside of any function (a system call's
    stub) gcc names no line: it is of a line that has the end of its name.
    """
    if function.lines:
        return bool(function.lines & touched)
    lines = dict(enumerate(source.text.splitlines(), 1))
    words = (word for file, number in touched if file == source.file for word in WORD.findall(lines.get(number, "")))
    return any(function.name.endswith(word) for word in words)
