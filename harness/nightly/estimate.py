"""What a night is made of, with the time it is thought to take: cells, the kernels they need, seconds from history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.catalogue.model import Catalogue
from harness.history import query
from harness.history.store import History
from harness.kernel import build
from harness.kernel.config import read_demands
from harness.kernel.request import KernelRequest
from harness.nightly.matrix import Cell, job_of
from harness.nightly.night import Kernel, Planned
from harness.runner.company import company
from harness.runner.prepare import Place, Wishes, kernel_request

BUILD = 900.0
"""Seconds of one core for a kernel of which nothing is known."""
CASE = 0.5
"""Seconds for a case of which nothing is known."""
BOOT = 1.0
"""Seconds for a state's guest to stand: to be booted, settled and saved takes three, but many share one."""


@dataclass(frozen=True)
class Needed:
    """The kernels of a night by identity, what they are made of, and which are there already."""

    requests: Mapping[str, KernelRequest]
    there: Mapping[str, build.Kernel]


def wishes_of(cell_config: Sequence[str], accelerator: str, environment: tuple[str, ...] = ()) -> Wishes:
    """How a cell's cases are run: one guest at a time, as cells run beside each other."""
    chosen = None if accelerator == "auto" else accelerator
    return Wishes(accelerator=chosen, jobs=1, config=tuple(cell_config), environment=environment)


def requests_of(place: Place, cell: Cell) -> dict[str, KernelRequest]:
    """The kernels of a cell's states, by identity.

    Raises UserError, SeriesError or DeclarationError.
    """
    job, wishes = job_of(place.catalogue, cell), wishes_of(cell.fragments, cell.accelerator)
    found = [kernel_request(place, job, state, wishes) for state in job.states]
    return {request.identity: request for request in found}


def needed(place: Place, cells: Sequence[Cell]) -> tuple[Needed, dict[str, tuple[str, ...]]]:
    """All kernels of the cells, each once; and by cell id those that are still to be built."""
    requests: dict[str, KernelRequest] = {}
    own: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        found = requests_of(place, cell)
        requests |= found
        own[cell.id] = tuple(found)
    there = {name: kernel for name, each in requests.items() if (kernel := build.find(each, place.cache))}
    return Needed(requests, there), {id: tuple(n for n in names if n not in there) for id, names in own.items()}


def planned(place: Place, cells: Sequence[Cell], history: History) -> tuple[Needed, list[Planned], list[Kernel]]:
    """The cells and kernels of a night with what they are thought to take.

    Raises UserError, SeriesError or DeclarationError.
    """
    kernels, missing = needed(place, cells)
    seconds = Seconds(place.catalogue, query.job_seconds(history), query.durations(history))
    build_seconds = _build_seconds(list(kernels.there.values()))
    open_kernels = [
        Kernel(name, request.label(request.name), build_seconds)
        for name, request in kernels.requests.items()
        if name not in kernels.there
    ]
    shared = _company(place.catalogue, cells)
    return kernels, [Planned(c, seconds.of(c), missing[c.id], shared[c.id]) for c in cells], open_kernels


def _company(catalogue: Catalogue, cells: Sequence[Cell]) -> Mapping[str, tuple[str, ...]]:
    """By cell id: the suites of the night that can be run in its guests too."""
    scenarios = catalogue.scenarios()
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.base, cell.config, cell.accelerator), []).append(cell)
    found: dict[str, tuple[str, ...]] = {}
    for group in groups.values():
        names = company(catalogue, [scenarios[cell.scenario] for cell in group])
        found |= {cell.id: names[scenarios[cell.scenario]] for cell in group}
    return found


def _build_seconds(there: Sequence[build.Kernel]) -> float:
    """What a build takes on one core: what others took, times the cores of this machine."""
    import os

    known = [kernel.seconds for kernel in there if kernel.seconds > 0]
    return median(known) * len(os.sched_getaffinity(0)) if known else BUILD


class Seconds:
    """How long cells take: what their runs took on earlier nights; else what their cases took wherever they were run,
    times what a checked kernel costs where they were not run on it; else a guess from the number of cases."""

    def __init__(
        self, catalogue: Catalogue, nights: Mapping[str, float], known: Mapping[tuple[str, str, str, str], float]
    ) -> None:
        """``nights``: seconds by cell id. ``known``: by (scenario, state, fragments, case)."""
        self.catalogue = catalogue
        self.nights = nights
        self.known = known
        means: dict[tuple[str, str, str], list[float]] = {}
        for (scenario, _, fragments, case), mean in self.known.items():
            means.setdefault((scenario, fragments, case), []).append(mean)
        self.similar = {key: median(values) for key, values in means.items()}

    def of(self, cell: Cell) -> float:
        found = self.nights.get(cell.id)
        if found is not None:
            return found
        job, slower = job_of(self.catalogue, cell), self._slower(cell)
        fragments = " ".join(cell.fragments)
        return sum(
            BOOT * slower
            + sum(self._case(job.scenario.name, state.name, fragments, case, slower) for case in job.cases)
            for state in job.states
        )

    def _case(self, scenario: str, state: str, fragments: str, case: str, slower: float) -> float:
        for found in (
            self.known.get((scenario, state, fragments, case)),
            self.similar.get((scenario, fragments, case)),
        ):
            if found is not None:
                return found
        return slower * self.similar.get((scenario, "", case), CASE)

    def _slower(self, cell: Cell) -> float:
        """What the same cases took longer on this cell's kernels; what its fragments allow for when none was run."""
        fragments = " ".join(cell.fragments)
        ratios = [
            seconds / plain
            for (scenario, found, case), seconds in self.similar.items()
            if found == fragments and (plain := self.similar.get((scenario, "", case)))
        ]
        if ratios:
            return median(ratios)
        return math.prod(read_demands(self.catalogue.fragments[name]).slower for name in cell.fragments)


def within_budget(
    cells: Sequence[Planned], kernels: Sequence[Kernel], cores: int, seconds: float, last: Mapping[str, str]
) -> tuple[list[Planned], list[Planned]]:
    """What fits into so many seconds, and what does not. Those that were not run for longest come first (``last`` is
    when, by cell id), then in the order of the declaration: what is left out tonight is run tomorrow."""
    room = cores * seconds
    builds = {kernel.identity: kernel.seconds for kernel in kernels}
    taken, left = [], []
    for each in sorted(cells, key=lambda each: last.get(each.cell.id, "")):
        price = each.seconds + sum(builds.get(need, 0.0) for need in each.needs)
        if price <= room:
            room -= price
            for need in each.needs:
                builds.pop(need, None)
            taken.append(each)
        else:
            left.append(each)
    order = [each.cell for each in cells]
    return sorted(taken, key=lambda each: order.index(each.cell)), left
