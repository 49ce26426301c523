"""What cases reported of themselves over several runs, as lines of numbers and as a drawing. Pure.

lines = collect([("4K", result), ("1M", result), ...])       # one run a value, or several
text.draw("size", lines, width=100)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.catalogue.model import Kind
from harness.results.model import CaseResult, RunResult
from harness.results.text import plain, word

BAR = "█"
BYTES = "_bytes"
"""The end of a number's name that says it is not instructions."""


@dataclass(frozen=True)
class Point:
    """What was reported at one value of the parameter, one number for each run. ``word`` says why there is none."""

    value: str
    numbers: tuple[int, ...]
    word: str = ""

    @property
    def same(self) -> bool:
        """Whether every run reported the same."""
        return len(set(self.numbers)) <= 1


@dataclass(frozen=True)
class Line:
    """One number of one case in one state, over the parameter's values."""

    case: str
    name: str
    state: str
    points: tuple[Point, ...]

    @property
    def unit(self) -> str:
        return "bytes" if self.name.endswith(BYTES) else "instructions"

    @property
    def reported(self) -> tuple[int, ...]:
        """The first run's numbers, of the values that have one."""
        return tuple(point.numbers[0] for point in self.points if point.numbers)


def collect(runs: Sequence[tuple[str, RunResult]]) -> tuple[Line, ...]:
    """Every number of every case and state, in the order in which they came. A value may come several times."""
    values = tuple(dict.fromkeys(value for value, _ in runs))
    cells = [(value, case) for value, run in runs for case in run.cases]
    names: dict[tuple[str, str], None] = {}
    states: dict[tuple[str, str], None] = {}
    for _, cell in cells:
        states[cell.case, cell.state] = None
        names.update(dict.fromkeys((cell.case, name) for name in cell.outcome.costs))
    return tuple(
        Line(case, name, state, tuple(_point(value, name, _of(cells, value, case, state)) for value in values))
        for case, name in names
        for other, state in states
        if other == case
    )


def _of(cells: Sequence[tuple[str, CaseResult]], value: str, case: str, state: str) -> list[CaseResult]:
    return [cell for at, cell in cells if (at, cell.case, cell.state) == (value, case, state)]


def _point(value: str, name: str, cells: Sequence[CaseResult]) -> Point:
    numbers = tuple(cell.outcome.costs[name] for cell in cells if name in cell.outcome.costs)
    if numbers or not cells:
        return Point(value, numbers)
    outcome = cells[0].outcome
    return Point(value, (), "not reported" if outcome.kind is Kind.PASSED else word(outcome))


def unequal(lines: Sequence[Line]) -> list[str]:
    """The numbers that were not the same in every run, in words."""
    return [
        f"{line.case}, {line.state}, {line.name}{f' at {point.value}' if point.value else ''}: "
        f"{min(point.numbers):,} to {max(point.numbers):,} in {len(point.numbers)} runs"
        for line in lines
        for point in line.points
        if not point.same
    ]


def draw(parameter: str, lines: Sequence[Line], width: int = 100) -> str:
    """A block for each number and state, a bar for each value, and how each relates to the first."""
    shown = [line for line in lines if line.reported and line.name.removesuffix(BYTES) != "file"]  # the parameter
    silent = dict.fromkeys(_silence(line) for line in lines if not line.reported)
    return "\n\n".join((*("\n".join(_block(parameter, line, width)) for line in shown), *silent))


def _silence(line: Line) -> str:
    words = dict.fromkeys(point.word for point in line.points)
    return f"{line.case}, {line.state}: {plain(', '.join(words))}: nothing to count"


def _block(parameter: str, line: Line, width: int) -> Iterator[str]:
    yield f"{line.case}, {line.state}: {line.name} in {line.unit} over {parameter}"
    label = max(len(point.value) for point in line.points)
    number = max(len(f"{value:,}") for value in line.reported)
    room = max(10, width - label - number - 18)
    first, most = line.reported[0], max(line.reported)
    for point in line.points:
        head = f"  {point.value:>{label}}  "
        if not point.numbers:
            yield head + f"{'-':>{number}}  {plain(point.word)}"
            continue
        value = point.numbers[0]
        bar = BAR * max(1, round(room * value / most)) if most else ""
        yield head + f"{value:>{number},}  {bar} {_times(value, first)}"


def _times(value: int, first: int) -> str:
    return f"x{value / first:.3f}" if first else ""


def table(lines: Sequence[Line], states: Sequence[str]) -> str:
    """A row for each number, a column for each state, and what the last state adds to each of those before."""
    rows: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines:
        rows.setdefault((line.case, line.name), {})[line.state] = line
    names = [name for _, name in rows]
    titles = {(case, name): name if names.count(name) == 1 else f"{case}: {name}" for case, name in rows}
    first = max(22, *(len(title) for title in titles.values())) + 4
    *before, last = states
    head = "".join(state.rjust(14) for state in states) + "".join(f"{last}:{state}".rjust(14) for state in before)
    return "\n".join(
        ("instructions, or bytes".ljust(first) + head, *(_row(titles[key], first, rows[key], states) for key in rows))
    )


def _row(title: str, first: int, cells: dict[str, Line], states: Sequence[str]) -> str:
    numbers = [next(iter(cells[state].reported), None) if state in cells else None for state in states]
    *before, last = numbers
    shown = "".join(("-" if number is None else f"{number:,}").rjust(14) for number in numbers)
    ratios = "".join((f"{last / number:.4f}" if number and last is not None else "-").rjust(14) for number in before)
    return f"  {title}".ljust(first) + shown + ratios
