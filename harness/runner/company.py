"""Suites that share a guest: run on the same kernel and filesystem, they are booted and saved once for all. Pure.

    company(catalogue, [scenario for ...])      # by scenario: the suites whose programs its guest has too

What is in the guest is then the same for each of them, and so is its key in the cache (harness.runner.prepare).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.catalogue.model import Catalogue, Scenario, Suite


def company(catalogue: Catalogue, scenarios: Iterable[Scenario]) -> Mapping[Scenario, tuple[str, ...]]:
    """The suites that share a guest, by scenario; none for one that shares it with nobody."""
    tables: dict[tuple[object, ...], dict[str, None]] = {}
    every = list(scenarios)
    for scenario in every:
        tables.setdefault(_table(catalogue, scenario), {})[scenario.suite] = None
    found = {scenario: tuple(sorted(tables[_table(catalogue, scenario)])) for scenario in every}
    return {scenario: names if len(names) > 1 else () for scenario, names in found.items()}


def _table(catalogue: Catalogue, scenario: Scenario) -> tuple[object, ...]:
    suite = catalogue.suites[scenario.suite]
    return (scenario.filesystem, suite.image, suite.cpus, *_alone(scenario, suite))


def _alone(scenario: Scenario, suite: Suite) -> tuple[str, ...]:
    """Programs of the host come with libraries, as large as all suites: who asks for some has a guest of its own."""
    return (scenario.suite,) if suite.host else ()
