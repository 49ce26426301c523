"""A host's worker: one process, a thread a core; what it starts ends with it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import Any

from harness import process
from harness.errors import InfraError, UserError
from harness.nightly.cluster.offer import BUILD, RUN

PATIENCE = 30.0
"""Seconds without a scheduler after which a worker ends."""
ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
TLS = ("ca.pem", "cert.pem", "key.pem")


def security(tls: Path | None) -> Any:
    """Certificates from a folder; None without one."""
    if tls is None:
        return None
    from distributed.security import Security

    ca, cert, key = (os.fspath(tls / name) for name in TLS)
    return Security(
        tls_ca_file=ca, tls_worker_cert=cert, tls_worker_key=key, tls_client_cert=cert, tls_client_key=key,
        require_encryption=True,
    )  # fmt: skip


def serve(scheduler: str, name: str, cores: int, *, builds: bool, tls: Path | None) -> None:
    """Work for a scheduler until it ends, or this process is told to.

    Raises UserError for what is no address, InfraError when it cannot be reached.
    """
    if not ADDRESS.fullmatch(scheduler):
        raise UserError(f"{scheduler!r} is no address of a scheduler", hint="tcp://HOST:8786, or tls:// with --tls")
    if name:
        os.environ["LAB_HOST"] = name
    try:
        with tempfile.TemporaryDirectory(prefix="lab-worker.") as scratch:
            asyncio.run(_serve(scheduler, name, cores, builds, tls, scratch))
    finally:
        process.kill_all()


async def _serve(scheduler: str, name: str, cores: int, builds: bool, tls: Path | None, scratch: str) -> None:
    from distributed import Worker

    resources = {RUN: cores} | ({BUILD: 1} if builds else {})
    try:
        worker = await Worker(
            scheduler, name=name or None, nthreads=cores, resources=resources, security=security(tls),
            memory_limit=0, dashboard=False, local_directory=scratch, death_timeout=PATIENCE,
        )  # fmt: skip
    except (OSError, TimeoutError, ValueError, RuntimeError) as exc:
        why = exc.__cause__ or exc
        raise InfraError(f"cannot work for the scheduler {scheduler}: {why}") from exc
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: loop.create_task(_end(worker)))
    await worker.finished()


async def _end(worker: Any) -> None:
    """Told to end: what runs here is begun elsewhere, so it is not waited for."""
    process.kill_all()
    await worker.close(timeout=2, executor_wait=False, reason="told to end")
