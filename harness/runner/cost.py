"""What cases cost, over a parameter and over repetitions: exact runs, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.errors import UserError
from harness.plan import Job, Request
from harness.results.model import RunResult
from harness.runner import exact
from harness.runner.prepare import Place, Wishes
from harness.runner.run import Finished, Watcher, run


@dataclass(frozen=True)
class Vary:
    """A parameter and its values: ``size=4K,1M`` reaches the case's program as LAB_SIZE."""

    name: str
    values: tuple[str, ...]

    def variable(self, value: str) -> str:
        return f"LAB_{self.name.upper()}={value}"


NOTHING = Vary("", ("",))


def parse(text: str) -> Vary:
    """A parameter as it is typed, ``NAME=VALUE,VALUE...``.

    Raises UserError.
    """
    name, _, values = text.partition("=")
    found = tuple(value for value in values.split(",") if value)
    if not name.isidentifier() or not found:
        raise UserError(f"--vary {text}: that is no NAME=VALUE,VALUE...", hint="for example --vary size=4K,1M,64M")
    return Vary(name, found)


def measure(
    place: Place, job: Job, request: Request, wishes: Wishes, vary: Vary, repeat: int, watcher: Watcher
) -> Iterator[tuple[str, Finished]]:
    """Run the job exactly, ``repeat`` times for each value; the value and the finished run, as they come.

    Raises what ``run`` raises.
    """
    for value in vary.values:
        environment = (*wishes.environment, *((vary.variable(value),) if vary.name else ()))
        each = exact.wishes(replace(wishes, environment=environment))
        for _ in range(repeat):
            yield value, run(place, job, each, watcher, _by_hand(job, request, each))


def reports(results: list[tuple[str, RunResult]]) -> bool:
    """Whether any case reported a number at all."""
    return any(case.outcome.costs for _, result in results for case in result.cases)


def _by_hand(job: Job, request: Request, wishes: Wishes) -> tuple[str, ...]:
    """The `lab run` that does one of these runs again."""
    argv = ["lab", "run", "--exact"]
    for flag, values in (("--env", wishes.environment), ("--config", wishes.config)):
        argv += [word for value in values for word in (flag, value)]
    argv += ["--base", request.base] if request.base else []
    argv += ["--series", request.series] if request.series else []
    argv += [word for state in job.states for word in ("--at", state.name)]
    return (*argv, *(f"{job.scenario.name}/{case}" for case in job.cases))
