"""Request -> ordered jobs. Pure: the catalogue in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.catalogue.load import requirements
from harness.catalogue.model import Catalogue, Expectation, Scenario, Status, Suite
from harness.errors import UserError

BASE, WITHOUT, WITH = "base", "without", "with"


@dataclass(frozen=True)
class Applied:
    """A series as it stands in one state: its first ``patches`` patches, or all of them when that is None."""

    series: str
    patches: int | None = None

    @property
    def label(self) -> str:
        """For people: ``checkpoint-relink``, ``checkpoint-relink[1-3]``."""
        return self.series if self.patches is None else f"{self.series}[1-{self.patches}]"


@dataclass(frozen=True)
class State:
    """One state of the kernel: ``base``, ``without`` (base + what the series requires), patch ``3``, ``with`` (tip)."""

    name: str
    base: str
    stack: tuple[Applied, ...] = ()

    @property
    def label(self) -> str:
        """For people: ``checkpoint-core + checkpoint-relink[1-3]``; empty for the plain base."""
        return " + ".join(applied.label for applied in self.stack)

    @property
    def expected_as(self) -> str:
        """The state whose expectations hold here. At a patch of the middle nothing is promised: the tip's are shown."""
        return self.name if self.name in (BASE, WITHOUT, WITH) else WITH

    @property
    def promised(self) -> bool:
        """Whether a missed expectation in this state is a failure."""
        return self.name in (BASE, WITHOUT, WITH)


@dataclass(frozen=True)
class Job:
    """A scenario's cases in its states, in the order in which they are run and shown.

    ``suite`` expects what it does on the scenario's filesystem; ``skipped`` are the cases that cannot apply there, with
    the reason.
    """

    scenario: Scenario
    suite: Suite
    states: tuple[State, ...]
    cases: tuple[str, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def expectation(self, case: str, state: State) -> Expectation | None:
        """What must happen; None at a patch of the middle, where nothing is promised."""
        if case in self.skipped:
            return Expectation(status=Status.SKIP)
        return self.suite.expectation(case, state.expected_as) if state.promised else None


@dataclass(frozen=True)
class Request:
    """What was asked for on top of the scenarios: another base, another series, certain states."""

    base: str | None = None
    series: str | None = None
    at: tuple[str, ...] = ()


def plan(catalogue: Catalogue, chosen: dict[Scenario, tuple[str, ...]], request: Request) -> tuple[Job, ...]:
    """The jobs for the chosen scenarios and cases.

    Raises UserError when a base, a series or a state is asked for that cannot be.
    """
    return tuple(_job(catalogue, scenario, cases, request) for scenario, cases in chosen.items())


def _job(catalogue: Catalogue, scenario: Scenario, cases: tuple[str, ...], request: Request) -> Job:
    names = catalogue.names_of(scenario)
    suite = catalogue.suites[scenario.suite].with_cuts(cases).on(names)
    series = request.series or suite.series
    if series and series not in catalogue.series:
        raise UserError(f"there is no series {series!r}", hint=f"known: {', '.join(sorted(catalogue.series))}")
    base = _base(catalogue, series, request.base)
    default = (WITHOUT, WITH) if series else (BASE,)
    states = tuple(_state(catalogue, series, base, name) for name in request.at or default)
    skipped = {case: why for case in cases if (why := suite.cases[case].why_not_on(names))}
    return Job(scenario, suite, states, cases, skipped)


def _base(catalogue: Catalogue, series: str, asked: str | None) -> str:
    if asked and asked not in catalogue.bases:
        raise UserError(f"there is no base {asked!r}", hint=f"known: {', '.join(sorted(catalogue.bases))}")
    if not series:
        return asked or newest(catalogue.bases)
    for name in (*requirements(catalogue, series), series):
        bases = catalogue.series[name].bases
        if asked and asked not in bases:
            raise UserError(
                f"the series {name} is not declared for base {asked}",
                hint=f"kernel-patches/{name}/series.toml says bases = {list(bases)}",
            )
    return asked or catalogue.series[series].bases[0]


def newest(bases: Iterable[str]) -> str:
    """The base with the highest version in its name.

    Raises UserError when none is declared.
    """
    names = list(bases)
    if not names:
        raise UserError("no base is declared", hint="docs/kernels.md says how to add kernel-patches/bases/<name>.toml")
    return newest_first(names)[0]


def newest_first(names: Iterable[str]) -> list[str]:
    """Bases by the version in their names."""

    def version(name: str) -> list[int]:
        return [int(part) if part.isdigit() else -1 for part in name.split(".")]

    return sorted(names, key=version, reverse=True)


def _state(catalogue: Catalogue, series: str, base: str, name: str) -> State:
    if name == BASE:
        return State(BASE, base)
    if not series:
        raise UserError(f"--at {name}: the suite tests no series, so base is its only state")
    required = tuple(Applied(other) for other in requirements(catalogue, series))
    if name == WITHOUT:
        return State(WITHOUT, base, required)
    if name == WITH:
        return State(WITH, base, (*required, Applied(series)))
    if name.isdigit() and int(name) > 0:
        return State(name, base, (*required, Applied(series, int(name))))
    raise UserError(f"--at {name}: a state is base, without, with, or the number of a patch (1 is the first)")
