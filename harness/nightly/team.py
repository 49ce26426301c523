"""Who carries a night out: this machine, or the hosts of a cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.errors import UserError
from harness.nightly.conduct import Prepared
from harness.nightly.local import Local
from harness.nightly.walk import Executor, Told
from harness.runner.prepare import Place


class Remarking(Executor, Protocol):
    """An executor that has something to say in the morning."""

    remarks: list[str]


class Team(Protocol):
    """What can carry out nights."""

    @property
    def where(self) -> str:
        """What it is called."""

    @property
    def cores(self) -> int:
        """How many cells run at once."""

    def executor(self, place: Place, prepared: Prepared, told: Told, night: str) -> AbstractContextManager[Remarking]:
        """For one night."""


@dataclass(frozen=True)
class Alone:
    """This machine."""

    cores: int
    where: str = "this machine"

    def executor(self, place: Place, prepared: Prepared, told: Told, night: str) -> Local:
        return Local(place, prepared.needed.requests, told, self.cores)


@dataclass(frozen=True)
class Together:
    """The workers of a connected dask client."""

    client: Any
    where: str

    @property
    def cores(self) -> int:
        from harness.nightly.cluster.executor import cores

        return cores(self.client)

    def executor(self, place: Place, prepared: Prepared, told: Told, night: str) -> AbstractContextManager[Remarking]:
        from harness.nightly.cluster.executor import Cluster

        return Cluster(self.client, place, prepared.needed, told, night)


@contextlib.contextmanager
def team(where: str | None, jobs: int | None) -> Iterator[Team]:
    """The team for ``--cluster WHERE``: tcp://..., a hosts.toml, slurm; this machine when it is None.

    Raises UserError for a place that is none, or when what a cluster needs is not installed; InfraError when it cannot
    be reached.
    """
    if where is None:
        yield Alone(jobs or len(os.sched_getaffinity(0)))
        return
    _installed()
    if where.startswith(("tcp://", "tls://")):
        from harness.nightly.cluster.reach import scheduler

        with scheduler(where) as client:
            yield Together(client, where)
    elif where == "slurm":
        from harness.nightly.cluster.slurm import slurm

        with slurm(jobs) as client:
            yield Together(client, where)
    elif where.endswith(".toml"):
        from harness.nightly.cluster.hosts import hosts

        with hosts(Path(where)) as client:
            yield Together(client, where)
    else:
        raise UserError(f"--cluster {where}: tcp://HOST:PORT, a .toml file with hosts, or slurm")


def _installed() -> None:
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise UserError(
            "--cluster needs what requirements-cluster.lock names",
            hint="./lab adds it by itself; elsewhere: pip install 'lab[cluster]'",
        )
