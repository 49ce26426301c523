"""nightly.toml -> the cells to run. Pure.

A cell is one `lab run` of one scenario: a base, a config variant, an accelerator, all its states, so that each verdict
still has a before.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.catalogue.model import Catalogue, Scenario
from harness.catalogue.nightly import AXES, NO_FILESYSTEM, PLAIN, Axes, Exclude, Nightly, fragments_of
from harness.errors import UserError
from harness.plan import Job, Request, plan


@dataclass(frozen=True)
class Cell:
    """One job of a nightly. ``config`` is the variant's name, ``states`` are the asked ones (none: the suite's own)."""

    scenario: str
    base: str
    config: str
    accelerator: str
    states: tuple[str, ...] = ()
    number: int = 1  # which repetition

    @property
    def id(self) -> str:
        """``6.12/plain/auto/ext4-unlinked``, ``... #2`` for a repetition."""
        where = "/".join((self.base, self.config, self.accelerator, self.scenario))
        return where + (f" #{self.number}" if self.number > 1 else "")

    @property
    def fragments(self) -> tuple[str, ...]:
        return fragments_of(self.config)


@dataclass(frozen=True)
class LeftOut:
    """A cell that was excluded, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True)
class Matrix:
    """The cells in the order of the declaration, and those it leaves out."""

    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...] = ()


def expand(catalogue: Catalogue, declared: Nightly) -> Matrix:
    """All cells of a nightly.

    Raises UserError when there is none: a night that tests nothing is a mistake.
    """
    found: dict[Cell, None] = {}
    for axes, repeat in _parts(declared):
        for cell in _product(catalogue, axes):
            found.update({replace(cell, number=number): None for number in range(1, repeat + 1)})
    left = tuple(
        LeftOut(cell, rule.reason)
        for cell in found
        if (rule := next((rule for rule in declared.exclude if _fits(catalogue, rule, cell)), None))
    )
    gone = {each.cell for each in left}
    cells = tuple(cell for cell in found if cell not in gone)
    if not cells:
        raise UserError("the matrix has no cell", hint="`lab list` shows what there is; nightly.toml asks for nothing")
    return Matrix(cells, left)


def _parts(declared: Nightly) -> Iterator[tuple[Axes, int]]:
    yield declared.matrix, declared.repeat
    for more in declared.include:
        own = {axis: getattr(more, axis) or getattr(declared.matrix, axis) for axis in AXES}
        yield Axes(**own), more.repeat or declared.repeat


def _product(catalogue: Catalogue, axes: Axes) -> Iterator[Cell]:
    scenarios = [each for each in catalogue.scenarios().values() if _wanted(each, axes)]
    configs = _configs(catalogue, axes.configs)
    for config, scenario in itertools.product(configs, scenarios):
        for base in _bases(catalogue, scenario, axes.bases):
            for accelerator in axes.accelerators or ("auto",):
                states = _states(catalogue, scenario, axes.states)
                if states is not None:
                    yield Cell(scenario.name, base, config, accelerator, states)


def _wanted(scenario: Scenario, axes: Axes) -> bool:
    return _any(scenario.suite, axes.suites) and _any(scenario.filesystem or NO_FILESYSTEM, axes.filesystems)


def _any(word: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(word, pattern) for pattern in patterns)


def _configs(catalogue: Catalogue, patterns: Sequence[str]) -> list[str]:
    known = (PLAIN, *catalogue.fragments)
    found: dict[str, None] = {}
    for pattern in patterns or (PLAIN,):
        names = [pattern] if "+" in pattern else fnmatch.filter(known, pattern)
        found.update(dict.fromkeys(names))
    return list(found)


def _bases(catalogue: Catalogue, scenario: Scenario, patterns: Sequence[str]) -> list[str]:
    """The bases to run a scenario on: of those asked for the ones its series is declared for; else the series' own."""
    series = catalogue.suites[scenario.suite].series
    able = catalogue.series[series].bases if series else tuple(catalogue.bases)
    if patterns:
        return [base for base in able if _any(base, patterns)]
    return list(able[:1]) if series else [plan_base(catalogue, scenario)]


def plan_base(catalogue: Catalogue, scenario: Scenario) -> str:
    """The base that `lab run` of a scenario would take."""
    (job,) = plan(catalogue, {scenario: ()}, Request())
    return job.states[0].base


def _states(catalogue: Catalogue, scenario: Scenario, asked: Sequence[str]) -> tuple[str, ...] | None:
    """The states to ask for; none of them when the suite's own are wanted, None when the suite has none of those."""
    if not asked:
        return ()
    if catalogue.suites[scenario.suite].series:
        return tuple(asked)
    return ("base",) if "base" in asked else None


def _fits(catalogue: Catalogue, rule: Exclude, cell: Cell) -> bool:
    scenario = catalogue.scenarios()[cell.scenario]
    words = {
        "bases": cell.base,
        "configs": cell.config,
        "filesystems": scenario.filesystem or NO_FILESYSTEM,
        "suites": scenario.suite,
        "accelerators": cell.accelerator,
    }
    own = ("without", "with") if catalogue.suites[scenario.suite].series else ("base",)
    states = set(rule.states) <= set(cell.states or own)
    return states and all(_any(word, getattr(rule, axis)) for axis, word in words.items())


def job_of(catalogue: Catalogue, cell: Cell) -> Job:
    """The runner's job for a cell: every case, every state.

    Raises UserError as ``plan`` does.
    """
    scenario = catalogue.scenarios()[cell.scenario]
    cases = tuple(catalogue.suites[scenario.suite].cases)
    (job,) = plan(catalogue, {scenario: cases}, Request(base=cell.base, at=cell.states))
    return job
