"""A night on the nodes that Slurm gives, through dask-jobqueue. The lab and its cache are on a shared filesystem."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import InfraError, UserError
from harness.nightly.cluster.offer import RUN
from harness.nightly.cluster.reach import configure
from harness.paths import cache_root, find_workspace, shipped_root

VARIABLES = ("SLURM_NODES", "SLURM_CORES", "SLURM_MEMORY", "SLURM_WALLTIME", "SLURM_PARTITION", "SLURM_ACCOUNT")
COMES = 600.0
"""Seconds to wait for the first node."""


def _number(asked: Mapping[str, str], name: str, default: int) -> int:
    """Raises UserError for what is no number of anything."""
    text = asked[name] or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise UserError(f"LAB_SLURM_{name.upper()}={text}: that is no number of {name}")
    return int(text)


@contextlib.contextmanager
def slurm(jobs: int | None) -> Iterator[Any]:
    """A client with as many Slurm jobs as LAB_SLURM_NODES says (default 1), a worker each.

    LAB_SLURM_CORES, _MEMORY, _WALLTIME, _PARTITION and _ACCOUNT are the job's. Raises UserError for a number that is
    none, InfraError when Slurm is not there or gives nothing.
    """
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    configure()
    asked = {name.removeprefix("SLURM_").lower(): os.environ.get(f"LAB_{name}", "") for name in VARIABLES}
    cores, nodes = jobs or _number(asked, "cores", 4), _number(asked, "nodes", 1)
    given = {
        "cores": cores, "processes": 1, "memory": asked["memory"] or "8GB", "walltime": asked["walltime"] or "08:00:00",
        "queue": asked["partition"] or None, "account": asked["account"] or None,
    }  # fmt: skip
    prologue = [
        f"export PYTHONPATH={shlex.quote(os.fspath(shipped_root()))}",
        f"export LAB_CACHE={shlex.quote(os.fspath(cache_root()))}",
        f"export LAB_WORKSPACE={shlex.quote(os.fspath(find_workspace().root))}",
        "export LAB_HOST=$(hostname)",
    ]
    try:
        cluster = SLURMCluster(
            python=sys.executable, job_script_prologue=prologue, scheduler_options={"dashboard": False},
            worker_extra_args=["--resources", f"{RUN}={cores}", "--no-dashboard"],
            log_directory=os.fspath(cache_root() / "logs"), **given,
        )  # fmt: skip
        cluster.scale(jobs=nodes)
    except (OSError, RuntimeError, ValueError) as exc:
        raise InfraError(f"Slurm does not take the jobs: {exc}") from exc
    with cluster, Client(cluster, set_as_default=False) as client:
        try:
            client.wait_for_workers(1, timeout=COMES)
        except TimeoutError as exc:
            raise InfraError(f"Slurm gave no node within {COMES:.0f} s", hint="squeue shows why") from exc
        yield client
