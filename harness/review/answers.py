"""What a series answers to what was said of it: the tables of its REVIEW.md, held against the review. Pure.

A table with a column ``remark`` (or ``question``, ``defect``, ``what``) is one of answers: docs/review.md has the
format.

    rows = read(text)
    held = tuple(hold(rows, titles, matrix, declared))    # each with a standing: answered, contradicted, open, ...
    to(text, held)                                        # those that quote a reviewer's remark
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.review.matrix import Row, Turn

COLUMNS = {
    "remark": ("remark", "question", "defect", "what"),
    "answer": ("answer", "here"),
    "where": ("where", "patches", "patch"),
    "cases": ("cases", "case"),
    "status": ("status",),
}
QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
NUMBERS = re.compile(r"(?:patch(?:es)? )?(\d+)(?:\s*-\s*(\d+))?$")
ASIDE = re.compile(r"\([^()]*\)")
CODE = re.compile(r"`([^`]+)`")
OPEN = ("open", "not answered", "to do", "todo")
WORDS = 2
"""Words that a quotation has at least: a single one stands in too many remarks."""


class Standing(StrEnum):
    """What became of a remark."""

    SHOWN = "answered, as cases show"  # those that were run of the ones named for it do what they must
    SAID = "answered"  # no case is named for it
    NOT_RUN = "answered, its cases were not run"
    OPEN = "open"
    CONTRADICTED = "contradicted"  # a case named for it does not do what it must
    ASTRAY = "names what is not there"  # a patch that the series does not have, a case that nobody declares


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A remark as the series tells it, with its answer. ``patches`` are numbers; ``runs`` the cases that were run."""

    remark: str
    answer: str = ""
    where: str = ""
    patches: tuple[int, ...] = ()
    cases: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    standing: Standing = Standing.SAID
    note: str = ""


@dataclass(frozen=True)
class Told:
    """A row of a table, as it was written. ``heading`` is the one above the table."""

    heading: str = ""
    remark: str = ""
    answer: str = ""
    where: str = ""
    cases: str = ""
    status: str = ""


def read(text: str) -> list[Told]:
    """The rows of all tables of answers in a Markdown text, in its order."""
    found: list[Told] = []
    heading = ""
    columns: list[str] = []
    row: list[str] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open":
            heading = _content(following)
        elif token.type == "table_open":
            columns = []
        elif token.type == "th_open":
            columns.append(_column(_content(following)))
        elif token.type == "tr_open":
            row = []
        elif token.type == "td_open":
            row.append(_content(following))
        elif token.type == "tr_close" and row and "remark" in columns:
            cells = {name: cell for name, cell in zip(columns, row, strict=False) if name}
            found.append(Told(heading, **cells))
    return found


def _content(token: Token | None) -> str:
    return token.content.strip() if token is not None and token.type == "inline" else ""


def _column(head: str) -> str:
    """The column that a head names, "" for one that says nothing here (a number, a date)."""
    return next((name for name, heads in COLUMNS.items() if head.lower() in heads), "")


def hold(
    told: Iterable[Told], titles: Mapping[int, str], rows: Sequence[Row], declared: Sequence[str]
) -> Iterator[Answer]:
    """Each answer against what is there: the patches by number, the matrix, the names of all ``suite/case``."""
    for each in told:
        patches, strangers = _patches(each.where, titles)
        cases = tuple(CODE.findall(each.cases)) or tuple(filter(None, re.split(r"[\s,]+", each.cases)))
        run = [row for row in rows if row.turn is not Turn.APART and any(_is(row, pattern) for pattern in cases)]
        unknown = [name for name in cases if not any(_names(name, known) for known in declared)]
        bad = [row for row in run if not row.met]
        standing, note = _standing(each, [*strangers, *unknown], bad, shown=bool(run))
        yield Answer(
            remark=each.remark, answer=each.answer, where=each.where, patches=patches, cases=cases,
            runs=tuple(f"{row.scenario}/{row.case}" for row in run), standing=standing, note=note,
        )  # fmt: skip


def _standing(told: Told, strangers: list[str], bad: list[Row], *, shown: bool) -> tuple[Standing, str]:
    if strangers:
        return Standing.ASTRAY, ", ".join(strangers)
    if bad:
        return Standing.CONTRADICTED, ", ".join(f"{row.scenario}/{row.case}: {row.turn.value}" for row in bad)
    if (told.status or told.heading).strip().lower() in OPEN:
        return Standing.OPEN, ""
    if not told.answer and not told.where and not told.cases:
        return Standing.OPEN, ""
    return (Standing.SHOWN if shown else Standing.NOT_RUN if told.cases else Standing.SAID), ""


def _patches(where: str, titles: Mapping[int, str]) -> tuple[tuple[int, ...], list[str]]:
    """The patches that a cell names, by number or by subject in backticks; and what it names that is not there.

    Other words are other things: ``cover``, ``core 18`` of another series, an aside in parentheses.
    """
    found: dict[int, None] = {}
    strangers: list[str] = []
    for pattern in CODE.findall(ASIDE.sub("", where)):
        numbers = [number for number, title in titles.items() if fnmatch.fnmatchcase(title, pattern)]
        if ":" in pattern and not numbers:
            strangers.append(f"no patch {pattern!r}")
        found |= dict.fromkeys(numbers)
    for part in ASIDE.sub("", CODE.sub("", where)).split(","):
        named = NUMBERS.match(part.strip())
        for number in range(int(named[1]), int(named[2] or named[1]) + 1) if named else ():
            if number in titles:
                found[number] = None
            else:
                strangers.append(f"no patch {number}")
    return tuple(sorted(found)), strangers


def _names(pattern: str, name: str) -> bool:
    """Whether ``unlinked/alias``, ``ext4-unlinked/alias`` or a pattern of them means a case ``unlinked/alias``."""
    return _fits(pattern, name) or pattern.endswith(f"-{name}")


def _is(row: Row, pattern: str) -> bool:
    full = f"{row.scenario}/{row.case}"
    return fnmatch.fnmatchcase(full, pattern) or fnmatch.fnmatchcase(full, f"*-{pattern}")


def _fits(pattern: str, name: str) -> bool:
    """With a filesystem before the suite's name or without."""
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(f"-{name}", pattern)


def to(text: str, held: Sequence[Answer]) -> tuple[Answer, ...]:
    """The answers to a reviewer's remark: those that quote it, or whose own words stand in it."""
    said = _plain(text)
    return tuple(each for each in held if any(quote in said for quote in _quotes(each.remark)))


def _quotes(remark: str) -> list[str]:
    quotes = [_plain(quote) for quote in (*QUOTED.findall(remark), remark)]
    return [quote for quote in quotes if len(quote.split()) >= WORDS]


def _plain(text: str) -> str:
    """Its words, with a space around each: quotations are wrapped anew and lose their marks."""
    return " " + " ".join(re.findall(r"\w+", text.lower())) + " "
