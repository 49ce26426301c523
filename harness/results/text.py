"""A run for people: one line a case, one column a state, then what was not as expected.

    text.render(result, where=run.shown, width=shutil.get_terminal_size().columns, colour=text.wants_colour(sys.stdout))

Everything that a guest may have written is shown without its control characters: a console is not to steer a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from harness.catalogue.model import Expectation, Kind, Status
from harness.results.model import DISK, GUEST, RECORDING, CaseResult, RunResult, RunStatus
from harness.verdict.failure import shorten
from harness.verdict.judge import Outcome, Verdict, compare

REASON_WIDTH = 44
"""Characters of a reason that fit into a cell; the whole is shown below the table when it was not expected."""
EXCERPT = 14
"""Lines of a message shown below the table; the case's folder has the rest."""
GAP = 3

SPEECHLESS = (Kind.HANG, Kind.PANIC, Kind.OOPS, Kind.LOST)
"""How a guest may end whose shell cannot be counted on: it can be looked at with gdb."""

Cells = Mapping[str, CaseResult]
"""One case's results by state."""


def wants_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours and whose user wants them (NO_COLOR, TERM=dumb)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def plain(text: str) -> str:
    """Text without control characters, tabs widened; newlines stay."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text.expandtabs(8))


def _flat(text: str) -> str:
    return plain(text).replace("\n", " ")


def word(outcome: Outcome) -> str:
    """An outcome in a cell: PASS, SKIP (reason), FAIL (EBADF), FAIL splat (its title), ERROR timeout."""
    reason = shorten(plain(outcome.reason), REASON_WIDTH)
    if outcome.kind is Kind.PASSED:
        return f"PASS ({reason})" if reason else "PASS"
    kind = "" if outcome.kind in (Kind.ASSERTION, Kind.SKIPPED) else f" {outcome.kind}"
    return f"{outcome.status}{kind}" + (f" ({reason})" if reason else "")


def wanted(expectation: Expectation) -> str:
    """An expectation in words: PASS, FAIL (EBADF), FAIL panic."""
    kind = expectation.kind if expectation.kind not in (None, Kind.PASSED, Kind.ASSERTION, Kind.SKIPPED) else None
    return (
        expectation.status.value
        + (f" {kind}" if kind else "")
        + (f" ({expectation.reason})" if expectation.reason else "")
    )


def render(result: RunResult, where: str = "", width: int = 100, colour: bool = False, *, costs: bool = False) -> str:
    """The whole report, without a newline at its end. ``where`` is the run folder as it is to be shown.

    ``costs`` adds what the cases reported of themselves: worth reading when it was counted in an exact run.
    """
    paint = _Paint(colour)
    table = _by_case(result)
    states = list(dict.fromkeys(case.state for case in result.cases))
    lines = [*_table(_flat(result.scenario), table, states, width, paint)]
    lines += _costs(table, states, paint) if costs else []
    lines += _stories(result, where, paint)
    return "\n".join((*lines, *_end(result, table, where, width, paint)))


class _Paint:
    """Colours, or none; rich is only loaded for a terminal."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, style: str) -> str:
        if not self.on or not style:
            return text
        from rich.style import Style

        return Style.parse(style).render(text)


def _by_case(result: RunResult) -> dict[str, Cells]:
    table: dict[str, dict[str, CaseResult]] = {}
    for case in result.cases:
        table.setdefault(case.case, {})[case.state] = case
    return dict(table)


def _style(case: CaseResult) -> str:
    if case.met is False:
        return "bold red"
    if case.outcome.status is Status.PASS:
        return "green"
    return "yellow" if case.met else "dim"


def _cell(case: CaseResult | None) -> tuple[str, str]:
    """Text and style of a cell; a result that nobody wanted says so without colours too."""
    if case is None:
        return "not run", "dim"
    missed = f", wanted {wanted(case.expected)}" if case.met is False and case.expected else ""
    return word(case.outcome) + missed, _style(case)


def _skipped(cells: Cells) -> str:
    """Why a case was not for this filesystem, as its suite says; it is told once, for all states. Else empty."""
    asked = [case for case in cells.values() if case.expected is not None and case.expected.status is Status.SKIP]
    whole = asked and len(asked) == len(cells) and all(case.met for case in asked)
    return _flat(asked[0].outcome.reason) if whole else ""


def _table(title: str, table: Mapping[str, Cells], states: Sequence[str], width: int, paint: _Paint) -> Iterator[str]:
    if not table:
        return
    names = {case: _flat(case) for case in table}
    run = [cells for cells in table.values() if not _skipped(cells)]
    first = max(len(title), *(len(name) + 2 for name in names.values())) + GAP
    columns = [max((len(state), *(len(_cell(cells.get(state))[0]) for cells in run))) + GAP for state in states]
    if first + sum(columns) - GAP > width:
        yield from _narrow(title, table, states, paint)
        return
    head = title.ljust(first) + "".join(state.ljust(size) for state, size in zip(states, columns, strict=True))
    yield paint(head.rstrip(), "bold")
    for case, cells in table.items():
        row = f"  {names[case]}".ljust(first)
        if why := _skipped(cells):
            yield (row + paint(f"SKIP ({why})", "dim")).rstrip()
            continue
        for state, size in zip(states, columns, strict=True):
            text, style = _cell(cells.get(state))
            row += paint(text, style) + " " * (size - len(text))
        yield row.rstrip()


def _narrow(title: str, table: Mapping[str, Cells], states: Sequence[str], paint: _Paint) -> Iterator[str]:
    yield paint(title, "bold")
    size = max(len(state) for state in states) + 2
    for case, cells in table.items():
        yield f"  {_flat(case)}"
        if why := _skipped(cells):
            yield f"    {paint(f'SKIP ({why})', 'dim')}"
            continue
        for state in states:
            yield f"    {state.ljust(size)}{paint(*_cell(cells.get(state)))}"


def _costs(table: Mapping[str, Cells], states: Sequence[str], paint: _Paint) -> Iterator[str]:
    """A line for each number a case reported, a column for each state, and how the last relates to the first."""
    rows = []
    for case, cells in table.items():
        names = dict.fromkeys(name for cell in cells.values() for name in cell.outcome.costs)
        for name in names:
            numbers = [cells[state].outcome.costs.get(name) if state in cells else None for state in states]
            rows.append((name if name == case else f"{case}: {name}", numbers))
    if not rows:
        return
    first = max(len(title) for title, _ in rows) + 2 + GAP
    ratio = f"{states[-1]} : {states[0]}" if len(states) > 1 else ""
    yield ""
    yield paint(
        ("reported".ljust(first) + "".join(state.rjust(14) for state in states) + "   " + ratio).rstrip(), "bold"
    )
    for title, numbers in rows:
        shown = "".join(("-" if number is None else f"{number:,}").rjust(14) for number in numbers)
        yield f"  {title}".ljust(first) + shown + ("   " + _ratio(numbers[0], numbers[-1]) if ratio else "")
    yield ""


def _ratio(first: int | None, last: int | None) -> str:
    return f"{last / first:.3f}" if first and last is not None else "-"


def _stories(result: RunResult, where: str, paint: _Paint) -> Iterator[str]:
    for case in result.unexpected:
        outcome = case.outcome
        yield ""
        yield paint(_flat(f"{case.case}, {case.state}: {outcome.kind}: {outcome.reason}"), "bold")
        lines = [line.rstrip() for line in plain(outcome.message).split("\n") if line.strip()]
        yield from (f"    {line}" for line in lines[:EXCERPT])
        rest = f"{len(lines) - EXCERPT} more lines in " if len(lines) > EXCERPT else ""
        yield paint(f"    {rest}{_flat('/'.join(part for part in (where, case.folder) if part))}", "dim")
        yield from (paint(f"    {_flat(command)}", "dim") for command in _commands(case, where))
    if result.unexpected:
        yield ""


def _commands(case: CaseResult, where: str) -> Iterator[str]:
    """What a person can type to see the case again: none without the run's name."""
    name = f"{where.rstrip('/').rpartition('/')[2]}/{case.state}/{case.case}"
    if where and GUEST in case.kept:
        yield f"lab shell --from {name}" + ("" if case.outcome.kind not in SPEECHLESS else " --gdb")
    elif where and DISK in case.kept:
        yield f"lab shell --from {name} --disk"
    if where and RECORDING in case.kept:
        yield f"lab replay {name}"


def _end(result: RunResult, table: Mapping[str, Cells], where: str, width: int, paint: _Paint) -> Iterator[str]:
    told, style = summary(result), "bold green" if result.as_expected else "bold red"
    if result.error:
        yield paint(plain(result.error), "bold red")
    if not where:
        yield paint(told, style)
    elif len(told) + 6 + len(where) <= width:
        yield f"{paint(told, style)}      {where}/"
    else:
        yield paint(told, style)
        yield f"{where}/"


def summary(result: RunResult) -> str:
    """The last line: ``red without the series, green with it: 6 of 6``, or what else there is to count."""
    told = "; ".join(_counts(result))
    run = f"{len(result.cases)} of {result.planned} were run"
    if result.status is not RunStatus.DONE:
        return f"{result.status}: {run}" + (f"; {told}" if result.cases else "")
    return told if len(result.cases) == result.planned else f"{run}; {told}"


def _counts(result: RunResult) -> Iterator[str]:
    table = {case: cells for case, cells in _by_case(result).items() if not _skipped(cells)}
    verdicts = {case: _verdict(cells) for case, cells in table.items()}
    due = [case for case, cells in table.items() if _red_green_due(cells)]
    shown = [case for case in due if verdicts[case] is Verdict.RED_GREEN]
    others = [verdict for case, verdict in verdicts.items() if case not in due and verdict is not None]
    if due:
        yield f"red without the series, green with it: {len(shown)} of {len(due)}"
    if others:
        met = sum(verdict is not Verdict.UNEXPECTED for verdict in others)
        yield f"{'other cases ' if due else ''}as expected: {met} of {len(others)}"
    free = sum(verdict is None for verdict in verdicts.values())
    if free:
        yield f"nothing promised: {free}"
    if skipped := len(_by_case(result)) - len(table):
        yield f"not for this filesystem: {skipped}"


def _promises(cells: Cells) -> dict[str, Expectation]:
    return {state: case.expected for state, case in cells.items() if case.expected is not None}


def _verdict(cells: Cells) -> Verdict | None:
    """None where no state promises anything."""
    promises = _promises(cells)
    return compare(promises, {state: case.outcome for state, case in cells.items()}) if promises else None


def _red_green_due(cells: Cells) -> bool:
    """Whether the suite promises a red that a later state turns green."""
    promises = list(_promises(cells).values())
    red = [promise.wanted_kind is Kind.ASSERTION for promise in promises]
    return len(promises) > 1 and any(red[:-1]) and promises[-1].status is Status.PASS
