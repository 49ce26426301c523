"""Options that several verbs share, each group handed to the verb as one value."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from harness.cache import Cache
from harness.catalogue.load import load
from harness.paths import cache_root, find_workspace
from harness.plan import Request
from harness.runner.prepare import Place, Wishes

Verb = Callable[..., Any]


@dataclass(frozen=True)
class Kernels:
    """Which kernels: --base, --series, --at, --config."""

    base: str | None
    series: str | None
    at: tuple[str, ...]
    config: tuple[str, ...]

    @property
    def request(self) -> Request:
        """They as the plan has them."""
        return Request(base=self.base, series=self.series, at=self.at)


@dataclass(frozen=True)
class Guests:
    """How guests run: --accel, --cold, -j."""

    accel: str | None
    cold: bool
    jobs: int | None


KERNELS = (
    click.option("--base", metavar="NAME", help="Another base than the series' first."),
    click.option("--series", metavar="NAME", help="Another series than the suite's own."),
    click.option(
        "--at", metavar="STATE", multiple=True, help="Only these states: base, without, with, or a patch's number."
    ),
    click.option("--config", metavar="FRAGMENT", multiple=True, help="A further config fragment (kasan, lockdep)."),
)
JOBS = click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Guests at a time (default: processors).")
GUESTS = (
    click.option("--accel", type=click.Choice(("kvm", "tcg")), help="Instead of finding out which works."),
    click.option("--cold", is_flag=True, help="Boot every case from power-on instead of forking a booted guest."),
    JOBS,
)


def what(verb: Verb) -> Verb:
    """The options of ``Kernels``, which the verb gets as ``kernels``."""
    return _grouped(verb, "kernels", Kernels, KERNELS)


def how(verb: Verb) -> Verb:
    """The options of ``Guests``, which the verb gets as ``guests``."""
    return _grouped(verb, "guests", Guests, GUESTS)


def _grouped(verb: Verb, name: str, group: type[Kernels] | type[Guests], options: tuple[Verb, ...]) -> Verb:
    @functools.wraps(verb)
    def collect(**given: Any) -> Any:
        given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        return verb(**given)

    return functools.reduce(lambda made, option: option(made), reversed(options), collect)


def place() -> Place:
    """The workspace around the user, what it declares, and the cache.

    Raises DeclarationError, UserError.
    """
    workspace = find_workspace()
    return Place(workspace, load(workspace), Cache(cache_root()))


def wishes(config: tuple[str, ...], guests: Guests | None = None, *, jobs: int | None = None) -> Wishes:
    """The options as the runner has them."""
    guests = guests or Guests(None, False, jobs)
    jobs = guests.jobs or len(os.sched_getaffinity(0))
    return Wishes(accelerator=guests.accel, cold=guests.cold, jobs=jobs, config=config)
