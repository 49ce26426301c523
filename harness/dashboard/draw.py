"""Small drawings as SVG text. Pure; colours come from the page's style sheet.

A drawing says in words what it shows (``label``), and every mark of it what it stands for, so that neither colour nor
sight is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

STRIP = 11
"""Width and height of an outcome in a strip, in pixels."""
LINE = (260, 48)
"""Width and height of a line, in pixels."""
SHAPES = {"good": "1 1h9v9h-9z", "bad": "1 1l4.5 3.2l4.5-3.2v9l-4.5-3.2l-4.5 3.2z", "free": "3.5 3.5h4v4h-4z"}
"""A full square, an hourglass, a small square: told apart without their colours."""


@dataclass(frozen=True)
class Mark:
    """An outcome in a strip: ``kind`` is one of SHAPES, ``text`` what a pointer is told."""

    kind: str
    text: str
    href: str


def strip(marks: Sequence[Mark], label: str) -> Markup:
    """Outcomes side by side, the oldest first; each leads to where its ``href`` says."""
    drawn = (
        Markup('<a href="{}"><path class="{}" d="{}"><title>{}</title></path></a>').format(
            mark.href, mark.kind, _shape(mark.kind, place), mark.text
        )
        for place, mark in enumerate(marks)
    )
    return _strip(Markup("").join(drawn), len(marks), label)


def plain_strip(kinds: Sequence[str], label: str) -> Markup:
    """The same for pages with thousands of them: it leads nowhere, and a mark takes 20 bytes."""
    drawn = (
        Markup('<path class="{}" d="{}"/>').format(
            kind, "".join(_shape(kind, place) for place, each in enumerate(kinds) if each == kind)
        )
        for kind in dict.fromkeys(kinds)
    )
    return _strip(Markup("").join(drawn), len(kinds), label)


def _shape(kind: str, place: int) -> str:
    x, rest = SHAPES[kind].split(" ", 1)
    return f"M{float(x) + place * STRIP:g} {rest}"


def _strip(drawn: Markup, marks: int, label: str) -> Markup:
    head = Markup('<svg class="strip" role="img" aria-label="{}" width="{}" height="{}">')
    return Markup("").join((head.format(label, marks * STRIP, STRIP), drawn, Markup("</svg>")))


@dataclass(frozen=True)
class Spot:
    """A value in a line; ``text`` is what a pointer is told."""

    value: float
    text: str


def line(spots: Sequence[Spot], label: str, floor: float | None = None) -> Markup:
    """Values over time, each a step to the right. ``floor`` is the value at the bottom; default: the lowest of them."""
    width, height = LINE
    low = min((spot.value for spot in spots), default=0.0) if floor is None else floor
    high = max((spot.value for spot in spots), default=1.0)
    places = [
        (_scaled(number, len(spots) - 1, width), height - 4 - (height - 8) * _share(spot.value, low, high))
        for number, spot in enumerate(spots)
    ]
    path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(places))
    dots = Markup("").join(
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
            x, y, 2.5 if len(spots) < 60 else 1.5, spot.text
        )
        for (x, y), spot in zip(places, spots, strict=True)
    )
    head = Markup('<svg class="line" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}">')
    drawn = Markup('<path d="{}"/>').format(path)
    return Markup("").join((head.format(label, *LINE, *LINE), drawn, dots, Markup("</svg>")))


def _scaled(number: int, last: int, width: int) -> float:
    return 4 + (width - 8) * (number / last if last > 0 else 0.5)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
