"""KTAP v1 (Documentation/dev-tools/ktap.rst) as kernels and kselftest really print it: text in, a tree out.

    document = parse(text)
    document.tests        # top-level results, each with its diagnostics and subtests
    document.faults()     # why this stream proves nothing: no plan, too few results, ...

Parsing forgives: foreign lines become diagnostics, a plan may stand first or last, a stream may end anywhere. No text
raises. Judging does not forgive: ``faults`` names everything that keeps a stream from being a proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

DEEPEST = 32
"""Levels of nesting that are told apart; what is deeper counts as this deep."""

_VERSION = re.compile(r"(?:K?TAP) version ([0-9]{1,9})\s*$")
_PLAN = re.compile(r"1\.\.([0-9]{1,9})\s*(?:#\s*(.*))?$")
_RESULT = re.compile(r"(not ok|ok)\s+([0-9]{1,9})(?:\s+(.*))?$")
_BAIL = re.compile(r"Bail out!\s*(.*)$")
_DIRECTIVE = re.compile(r"(SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR)\b:?\s*(.*)$", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|(?<=\s))#(?:\s|$)|(?:^|(?<=\s))#(?=SKIP|TODO)")


class Directive(StrEnum):
    """The word behind ``#`` on a result line. XPASS is kselftest's own."""

    NONE = ""
    SKIP = "SKIP"
    TODO = "TODO"
    XFAIL = "XFAIL"
    XPASS = "XPASS"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"


class Line(msgspec.Struct, frozen=True):
    """A line of the stream: its number (1 is the first) and its text without indentation and ``# ``."""

    number: int
    text: str


class Plan(msgspec.Struct, frozen=True):
    """``1..count``; ``skip`` is the reason of a ``1..0 # SKIP reason``, None without one."""

    count: int
    line: int
    skip: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One result with what was printed before it.

    ``ok`` is None for a level whose own result line never came. ``comment`` is the text behind the directive, or behind
    a bare ``#``. ``line`` is the number of the result line, 0 when there is none.
    """

    number: int
    name: str
    ok: bool | None
    directive: Directive = Directive.NONE
    comment: str = ""
    line: int = 0
    plan: Plan | None = None
    diagnostics: tuple[Line, ...] = ()
    subtests: tuple[Result, ...] = ()

    def walk(self) -> Iterator[Result]:
        """This test and all below it, in the order of the stream."""
        for test in self.subtests:
            yield from test.walk()
        yield self


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole stream. ``diagnostics`` are the lines that belong to no result; ``bail`` is the text of ``Bail out!``."""

    version: int | None
    plan: Plan | None
    tests: tuple[Result, ...]
    diagnostics: tuple[Line, ...] = ()
    bail: Line | None = None

    def faults(self) -> tuple[str, ...]:
        """What keeps this stream from proving anything, in words; empty for a complete one.

        A stream that plans no test and runs none is complete: it is for the judge to say what that is worth.
        """
        found = list(_level_faults("the stream", self.plan, self.tests))
        for test in self.tests:
            found += _test_faults(test)
        return tuple(found)


def _level_faults(where: str, plan: Plan | None, tests: tuple[Result, ...]) -> Iterator[str]:
    if plan is None:
        yield f"{where} has no plan"
    elif plan.count != len(tests):
        yield f"{where} planned {plan.count} and ran {len(tests)}"
    seen: set[int] = set()
    for test in tests:
        if test.ok is not None and test.number in seen:
            yield f"{where} has result {test.number} twice"
            return
        seen.add(test.number)


def _test_faults(test: Result) -> Iterator[str]:
    for each in test.walk():
        name = each.name or f"test {each.number}"
        if each.ok is None:
            yield f"{name} began and has no result"
        if each.subtests or each.plan is not None:
            yield from _level_faults(name, each.plan, each.subtests)
        if each.ok and any(below.ok is False and not below.directive for below in each.subtests):
            yield f"{name} says ok and has a subtest that is not"


class _Level:
    """What is known of one level of indentation while the stream is read."""

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.plan: Plan | None = None
        self.tests: list[Result] = []
        self.pending: list[Line] = []


class _Found(NamedTuple):
    ok: bool
    number: int
    name: str
    directive: Directive
    comment: str


def _result(text: str) -> _Found | None:
    match = _RESULT.match(text)
    if match is None:
        return None
    rest = match.group(3) or ""
    comment = _COMMENT.search(rest)
    name = rest[: comment.start()] if comment else rest
    after = rest[comment.end() :].strip() if comment else ""
    word = _DIRECTIVE.match(after)
    return _Found(
        ok=match.group(1) == "ok",
        number=int(match.group(2)),
        name=re.sub(r"^-(\s+|$)", "", name).strip().replace("\\#", "#"),
        directive=Directive(word.group(1).upper()) if word else Directive.NONE,
        comment=word.group(2).strip() if word else after,
    )


class _Reader:
    """Reads line by line; ``levels`` is the open levels, the outermost first."""

    def __init__(self) -> None:
        self.levels = [_Level(0)]
        self.version: int | None = None
        self.bail: Line | None = None

    def feed(self, number: int, raw: str) -> None:
        text = raw.strip()
        if not text:
            return
        indent = len(raw) - len(raw.lstrip())
        for take in (self._version, self._plan, self._test, self._bail):
            if take(number, indent, text):
                return
        self._level_of(indent).pending.append(Line(number, re.sub(r"^#\s?", "", text)))

    def _version(self, _number: int, indent: int, text: str) -> bool:
        match = _VERSION.match(text)
        if match is None:
            return False
        self._open(indent)
        if len(self.levels) == 1 and self.version is None:
            self.version = int(match.group(1))
        return True

    def _plan(self, number: int, indent: int, text: str) -> bool:
        match = _PLAN.match(text)
        if match is None:
            return False
        level = self._open(indent)
        if level.plan is None:
            skip = _DIRECTIVE.match(match.group(2) or "")
            reason = skip.group(2).strip() if skip and skip.group(1).upper() == "SKIP" else None
            level.plan = Plan(int(match.group(1)), number, reason)
        else:
            level.pending.append(Line(number, text))
        return True

    def _test(self, number: int, indent: int, text: str) -> bool:
        found = _result(text)
        if found is None:
            return False
        below = self._close_deeper(indent)
        level = self._open(indent)
        diagnostics = (*level.pending, *(below.pending if below else ()))
        level.pending = []
        level.tests.append(
            Result(
                number=found.number,
                name=found.name,
                ok=found.ok,
                directive=found.directive,
                comment=found.comment,
                line=number,
                plan=below.plan if below else None,
                diagnostics=tuple(diagnostics),
                subtests=tuple(below.tests) if below else (),
            )
        )
        return True

    def _bail(self, number: int, _indent: int, text: str) -> bool:
        match = _BAIL.match(text)
        if match is None:
            return False
        self.bail = self.bail or Line(number, match.group(1).strip())
        return True

    def _level_of(self, indent: int) -> _Level:
        """The deepest open level that a line of this indentation can belong to."""
        return next((level for level in reversed(self.levels) if level.indent <= indent), self.levels[0])

    def _open(self, indent: int) -> _Level:
        """The level of a structural line; opens one when the line is deeper than all."""
        if indent > self.levels[-1].indent and len(self.levels) < DEEPEST:
            self.levels.append(_Level(indent))
        return self._level_of(indent)

    def _close_deeper(self, indent: int) -> _Level | None:
        """Close every level deeper than ``indent``; the outermost of them, or None. Inner ones become its tests."""
        closed: _Level | None = None
        while len(self.levels) > 1 and self.levels[-1].indent > indent:
            outer = self.levels.pop()
            if closed is not None:
                outer.tests.append(_unfinished(closed))
            closed = outer
        return closed

    def finish(self) -> Document:
        rest = self._close_deeper(-1)
        top = self.levels[0]
        if rest is not None:
            top.tests.append(_unfinished(rest))
        return Document(
            version=self.version, plan=top.plan, tests=tuple(top.tests), diagnostics=tuple(top.pending), bail=self.bail
        )


def _unfinished(level: _Level) -> Result:
    """A level without the result line that would have summed it up."""
    title = next((line.text for line in level.pending if line.text.startswith("Subtest:")), "")
    return Result(
        number=0, name=title.removeprefix("Subtest:").strip() or "a subtest", ok=None,
        plan=level.plan, diagnostics=tuple(level.pending), subtests=tuple(level.tests),
    )  # fmt: skip


def parse(text: str) -> Document:
    """The tree of results that a stream holds. Never raises; line numbers are those of ``text`` split at newlines."""
    reader = _Reader()
    for number, raw in enumerate(text.split("\n"), start=1):
        reader.feed(number, raw.rstrip("\r"))
    return reader.finish()
