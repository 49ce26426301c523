"""lab worker: this host as one of a cluster's."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("worker")
@click.argument("scheduler", metavar="ADDRESS")
@click.option("--name", metavar="NAME", help="What this host is called in results (default: its own name).")
@click.option("--cores", type=click.IntRange(1), metavar="N", help="Guests at a time (default: processors).")
@click.option("--no-build", is_flag=True, help="Do not build kernels here.")
@click.option("--tls", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of ca, cert, key.")
def command(scheduler: str, name: str | None, cores: int | None, no_build: bool, tls: Path | None) -> None:
    """Offer this host to the nights of a scheduler (tcp://HOST:8786) until it ends or Ctrl-C.

    `lab nightly --cluster hosts.toml` does this for you over SSH.
    """
    from harness.nightly.cluster.serve import serve

    serve(scheduler, name or "", cores or len(os.sched_getaffinity(0)), builds=not no_build, tls=tls)
