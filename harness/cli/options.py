"""Options that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from harness.cache import Cache
from harness.catalogue.load import load
from harness.paths import cache_root, find_workspace
from harness.plan import Request
from harness.runner.prepare import Place, Wishes

F = TypeVar("F", bound=Callable[..., Any])


def what(function: F) -> F:
    """Which kernels: --base, --series, --at, --config."""
    for option in (
        click.option("--base", metavar="NAME", help="Another base than the series' first."),
        click.option("--series", metavar="NAME", help="Another series than the suite's own."),
        click.option(
            "--at", metavar="STATE", multiple=True, help="Only these states: base, without, with, or a patch's number."
        ),
        click.option("--config", metavar="FRAGMENT", multiple=True, help="A further config fragment (kasan, lockdep)."),
    ):
        function = option(function)
    return function


def how(function: F) -> F:
    """How guests run: --accel, --cold, -j."""
    for option in (
        click.option("--accel", metavar="NAME", help="kvm or tcg, instead of finding out which works."),
        click.option("--cold", is_flag=True, help="Boot every case from power-on instead of forking a booted guest."),
        click.option(
            "-j", "--jobs", type=click.IntRange(1), metavar="N", help="Guests at a time (default: processors)."
        ),
    ):
        function = option(function)
    return function


def place() -> Place:
    """The workspace around the user, what it declares, and the cache.

    Raises DeclarationError, UserError.
    """
    workspace = find_workspace()
    return Place(workspace, load(workspace), Cache(cache_root()))


def wishes(config: tuple[str, ...], accel: str | None = None, cold: bool = False, jobs: int | None = None) -> Wishes:
    """The options of ``how`` and ``--config`` as the runner has them."""
    return Wishes(accelerator=accel, cold=cold, jobs=jobs or len(os.sched_getaffinity(0)), config=config)


def request(base: str | None, series: str | None, at: tuple[str, ...]) -> Request:
    """The options of ``what`` as the plan has them."""
    return Request(base=base, series=series, at=at)
