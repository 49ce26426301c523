"""A night on the nodes that Slurm gives, through dask-jobqueue. The lab and its cache are on a shared filesystem."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Any

from harness.errors import InfraError
from harness.nightly.cluster.offer import RUN
from harness.nightly.cluster.reach import configure
from harness.paths import cache_root, find_workspace, shipped_root

VARIABLES = ("SLURM_NODES", "SLURM_CORES", "SLURM_MEMORY", "SLURM_WALLTIME", "SLURM_PARTITION", "SLURM_ACCOUNT")
COMES = 600.0
"""Seconds to wait for the first node."""


@contextlib.contextmanager
def slurm(jobs: int | None) -> Iterator[Any]:
    """A client with as many Slurm jobs as LAB_SLURM_NODES says (default 1), a worker each.

    LAB_SLURM_CORES, _MEMORY, _WALLTIME, _PARTITION and _ACCOUNT are the job's. Raises InfraError when Slurm is not
    there or gives nothing.
    """
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    configure()
    asked = {name.removeprefix("SLURM_").lower(): os.environ.get(f"LAB_{name}", "") for name in VARIABLES}
    cores = jobs or int(asked["cores"] or 4)
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
        cluster.scale(jobs=int(asked["nodes"] or 1))
    except (OSError, RuntimeError, ValueError) as exc:
        raise InfraError(f"Slurm does not take the jobs: {exc}") from exc
    with cluster, Client(cluster, set_as_default=False) as client:
        try:
            client.wait_for_workers(1, timeout=COMES)
        except TimeoutError as exc:
            raise InfraError(f"Slurm gave no node within {COMES:.0f} s", hint="squeue shows why") from exc
        yield client
