"""What the pages show, made of what the memory has. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from urllib.parse import quote

from markupsafe import Markup

from harness.dashboard import draw
from harness.history.rows import Lane, Point, RunRow
from harness.history.trend import Standing, Track
from harness.results.run import safe

STRIP = 60
"""Outcomes in a case's strip."""
SPOTS = 120
"""Values in a line."""
WRONG = (Standing.REGRESSION, Standing.SUSPECT, Standing.FLAKY, Standing.FAILING)
"""What somebody should look at, the worst first."""


def run_page(name: str) -> str:
    """The page of a run, from the site's root."""
    return f"run/{quote(safe(name))}.html"


def case_page(scenario: str, case: str) -> str:
    """The page of a case, from the site's root."""
    return f"case/{quote(safe(scenario))}/{quote(safe(case))}.html"


def anchor(state: str, case: str) -> str:
    """Where a case stands on its run's page."""
    return quote(f"{state}-{case}")


def kind(met: bool | None) -> str:
    """A shape of ``draw.SHAPES``."""
    return "free" if met is None else "good" if met else "bad"


# The matrix


@dataclass(frozen=True)
class Cell:
    """The last outcomes of a scenario's cases under one set of conditions."""

    good: int
    bad: int
    free: int
    run: str  # the newest that took part

    @property
    def word(self) -> str:
        return f"{self.good}/{self.good + self.bad}" if self.good + self.bad else f"({self.free})"

    @property
    def heat(self) -> str:
        """A class of the style sheet."""
        if not self.good + self.bad:
            return "free"
        return "good" if not self.bad else "bad" if self.bad * 4 > self.good + self.bad else "some"


@dataclass(frozen=True)
class Matrix:
    """Scenarios down, conditions across."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def matrix(found: Iterable[Track]) -> Matrix:
    """What was last seen of every scenario, under all conditions it was run under."""
    cells: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for track in found:
        cells[track.lane.scenario, track.lane.words].append(track.last)
    scenarios = sorted({scenario for scenario, _ in cells})
    columns = tuple(sorted({words for _, words in cells}, key=_as_the_kernel_grows))
    return Matrix(
        columns, tuple((name, tuple(_cell(cells.get((name, column))) for column in columns)) for name in scenarios)
    )


def _as_the_kernel_grows(words: str) -> tuple[str, int, int]:
    """Conditions (``with, 6.12, tcg``) beside each other whose states alone differ: base, without, patch 3, with."""
    state, _, rest = words.partition(", ")
    places = {"base": 0, "without": 1, "with": 3}
    return rest, places.get(state, 2), int(state) if state.isdecimal() else 0


def _cell(points: list[Point] | None) -> Cell | None:
    if not points:
        return None
    met = [point.met for point in points]
    newest = max(points, key=lambda point: point.started)
    return Cell(met.count(True), met.count(False), met.count(None), newest.run)


# Trends


@dataclass(frozen=True)
class Trend:
    """A line with its name, its last value and how it changed over what is drawn, in words."""

    name: str
    last: str
    change: str
    drawing: Markup


def by_day(points: Iterable[Point]) -> list[tuple[str, list[Point]]]:
    """Outcomes by their day, the oldest first."""
    days: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        days[point.started[:10]].append(point)
    return sorted(days.items())


def trends(points: Sequence[Point]) -> list[Trend]:
    """Over the days: how much was as expected, and how long a case took."""
    days = by_day(points)
    rates = [(day, _rate(found)) for day, found in days]
    shares = [draw.Spot(100 * good / of, f"{day}: {good} of {of}") for day, (good, of) in rates if of]
    times = [
        draw.Spot(median(each.duration for each in found), f"{day}: {median(each.duration for each in found):.2f} s")
        for day, found in days
    ]
    floor = min([90.0, *(spot.value for spot in shares)])
    return [
        _trend("as expected", shares, lambda value: f"{value:.1f} %", floor),
        _trend("a case takes, middle", times, lambda value: f"{value:.2f} s", 0.0),
    ]


def _rate(points: Iterable[Point]) -> tuple[int, int]:
    met = [point.met for point in points if point.met is not None]
    return sum(met), len(met)


def _trend(name: str, spots: list[draw.Spot], said: Callable[[float], str], floor: float | None) -> Trend:
    spots = spots[-SPOTS:]
    last = said(spots[-1].value) if spots else "nothing yet"
    change = f"{said(spots[0].value)} at first" if len(spots) > 1 else ""
    return Trend(name, last, change, draw.line(spots, f"{name}: {last}, {change}", floor))


def costs(found: Iterable[Track]) -> list[Trend]:
    """Exact costs over time: instructions, so that any change is one of the kernel, the compiler or the case."""
    lines: list[Trend] = []
    for track in found:
        if track.lane.exact:
            for name in dict.fromkeys(name for point in track.points for name, _ in point.costs):
                spots = [_cost_spot(point, name) for point in track.points if name in dict(point.costs)]
                title = f"{track.lane.scenario}/{track.case}: {name} ({track.lane.words})"
                lines.append(_trend(title, spots, lambda value: f"{value:,.0f}", None))
    return sorted(lines, key=lambda trend: trend.name)


def _cost_spot(point: Point, name: str) -> draw.Spot:
    value = dict(point.costs)[name]
    return draw.Spot(value, f"{point.started}: {value:,} ({point.label})")


# Cases


@dataclass(frozen=True)
class CaseLine:
    """A case under one set of conditions, in a list."""

    scenario: str
    case: str
    lane: Lane
    standing: str
    word: str
    strip: Markup
    rate: str
    typical: float
    page: str
    last_good: Point | None
    first_bad: Point | None


def case_line(track: Track, root: str = "", *, linked: bool = True) -> CaseLine:
    """``root`` leads from the page to the site's root; ``linked`` strips lead to the runs and are far longer."""
    wrong = track.standing in WRONG
    return CaseLine(
        track.lane.scenario,
        track.case,
        track.lane,
        track.standing.value,
        track.last.word,
        _strip(track.points[-STRIP:], root, linked),
        track.rate.words if wrong else "",
        median(point.duration for point in track.points),
        root + case_page(track.lane.scenario, track.case),
        track.last_good if wrong else None,
        track.first_bad if wrong else None,
    )


def _strip(points: Sequence[Point], root: str, linked: bool) -> Markup:
    bad = sum(point.met is False for point in points)
    label = f"the last {len(points)} outcomes, {bad} of them not as expected"
    if not linked:
        return draw.plain_strip([kind(point.met) for point in points], label)
    return draw.strip([_mark(point, root) for point in points], label)


def _mark(point: Point, root: str) -> draw.Mark:
    place = f"{root}{run_page(point.run)}#{anchor(point.lane.state, point.case)}"
    return draw.Mark(kind(point.met), f"{point.started} {point.word}", place)


def wrong(found: Iterable[Track]) -> list[CaseLine]:
    """What somebody should look at, the worst first."""
    rows = [track for track in found if track.standing in WRONG]
    return [case_line(track, linked=False) for track in sorted(rows, key=lambda track: WRONG.index(track.standing))]


def headline(lines: Iterable[CaseLine]) -> str:
    """``2 regressions, 1 flaky``; empty when nothing goes wrong."""
    counts: dict[str, int] = defaultdict(int)
    for line in lines:
        counts[line.standing] += 1
    names = {"regression": ("regression", "regressions")}
    return ", ".join(f"{count} {names.get(name, (name, name))[count > 1]}" for name, count in counts.items() if count)


def run_row(run: RunRow, good: int, judged: int) -> list[object]:
    """A run as a row of the list that the browser searches."""
    state = "as expected" if run.as_expected else run.status if run.status != "done" else "unexpected"
    return [
        run.name,
        run.scenario,
        run.started,
        round(run.duration, 1),
        state,
        f"{good}/{judged}",
        run.accel,
        run.nightly,
    ]
