"""How work fits on cores: longest first, builds before what waits for them. Pure; the walk and the estimate share it.

tasks = [Build("k1", 480, 2), Job("a", 30, needs=("k1",)), Job("b", 12)]
simulate(tasks, cores=2).seconds
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Task:
    """Something that takes a core for ``seconds``. A build takes as many cores as are free, up to all."""

    name: str
    seconds: float
    needs: tuple[str, ...] = ()
    build: bool = False


@dataclass(frozen=True)
class Outlook:
    """When everything is done, and when each task begins and ends."""

    seconds: float
    spans: Mapping[str, tuple[float, float]]


def weights(tasks: Sequence[Task]) -> dict[str, float]:
    """By task: its own seconds and those of the longest chain that waits for it."""
    waiting: dict[str, list[Task]] = {}
    for task in tasks:
        for need in task.needs:
            waiting.setdefault(need, []).append(task)
    known: dict[str, float] = {}

    def weigh(task: Task) -> float:
        if task.name not in known:
            known[task.name] = task.seconds + max((weigh(each) for each in waiting.get(task.name, ())), default=0.0)
        return known[task.name]

    for task in tasks:
        weigh(task)
    return known


def ordered(tasks: Sequence[Task]) -> list[Task]:
    """Builds before jobs, each by weight: what holds up the most starts first."""
    weight = weights(tasks)
    return sorted(tasks, key=lambda task: (not task.build, -weight[task.name]))


def cores_for_build(free: int, others_ready: bool) -> int:
    """How many of the free cores a build takes: all, but for one when guests could use it."""
    return max(1, free - 1) if others_ready else max(1, free)


@dataclass
class _Machine:
    """The simulation's state: cores that are free, what runs, what is done."""

    free: int
    left: list[Task]
    now: float = 0.0
    building: bool = False
    running: list[tuple[float, int, Task, int]] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    count: int = 0

    def ready(self) -> list[Task]:
        return [task for task in self.left if all(need in self.done for need in task.needs)]

    def begin(self, task: Task, cores: int) -> None:
        self.left.remove(task)
        self.free -= cores
        self.building = self.building or task.build
        end = self.now + task.seconds / (cores if task.build else 1)
        self.spans[task.name] = (self.now, end)
        self.count += 1
        heapq.heappush(self.running, (end, self.count, task, cores))

    def end(self) -> None:
        self.now, _, task, cores = heapq.heappop(self.running)
        self.free += cores
        self.done.add(task.name)
        if task.build:
            self.building = False


def simulate(tasks: Iterable[Task], cores: int) -> Outlook:
    """Run the tasks on paper: one build at a time, on the cores that guests leave; everything else on one core.

    A build's seconds are those of one core. Raises ValueError for a need that nobody provides.
    """
    machine = _Machine(cores, ordered(list(tasks)))
    names = {task.name for task in machine.left}
    missing = {need for task in machine.left for need in task.needs} - names
    if missing:
        raise ValueError(f"nobody provides {', '.join(sorted(missing))}")
    while machine.left or machine.running:
        _begin_all(machine)
        machine.end()
    return Outlook(machine.now, machine.spans)


def _begin_all(machine: _Machine) -> None:
    ready = machine.ready()
    builds = [task for task in ready if task.build]
    jobs = [task for task in ready if not task.build]
    if builds and not machine.building and machine.free:
        machine.begin(builds[0], cores_for_build(machine.free, bool(jobs)))
    for task in jobs[: machine.free]:
        machine.begin(task, 1)
