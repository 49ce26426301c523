"""A dask client on a scheduler that is there, or on one in this process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from harness.errors import InfraError

PATIENCE = 15.0
"""Seconds in which a scheduler answers."""
SETTINGS = {
    "distributed.scheduler.worker-ttl": "60s",  # a host that lost its power is silent: so long
    "distributed.scheduler.allowed-failures": 3,  # how often a job may take its host with it
    "distributed.scheduler.work-stealing": True,
    "distributed.comm.timeouts.connect": "15s",
    "distributed.comm.retry.count": 2,
}


def configure() -> None:
    """Dask's settings for nights; its own log is for those who debug it."""
    import dask.config

    dask.config.set(SETTINGS)
    for name in ("distributed", "distributed.worker", "distributed.scheduler", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def members(client: Any) -> dict[str, dict[str, Any]]:
    """All workers by address, asked of the scheduler itself: the client's own copy of it now and then has only some."""
    found: dict[str, dict[str, Any]] = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    return found


@contextlib.contextmanager
def scheduler(address: str) -> Iterator[Any]:
    """A client of a scheduler that somebody runs.

    Raises InfraError when it does not answer.
    """
    from distributed import Client

    configure()
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as exc:
        raise InfraError(f"no scheduler answers at {address}: {exc}") from exc
    with client:
        yield client


@contextlib.contextmanager
def own_scheduler(listen: str, security: Any) -> Iterator[tuple[Any, str]]:
    """A client of a scheduler in this process, and the scheduler's address for workers. ``listen`` is an address of
    this host that they reach."""
    from distributed import Client, LocalCluster

    configure()
    protocol = "tls://" if security else "tcp://"
    with (
        LocalCluster(
            n_workers=0, processes=False, host=listen, protocol=protocol, security=security, dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client, cluster.scheduler_address
