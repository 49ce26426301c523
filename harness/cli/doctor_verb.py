"""lab doctor: what this machine has and lacks, and which accelerator really works."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import resources
from pathlib import Path

import click

from harness import process
from harness.paths import cache_root

NEEDED_MIB = 8_000
"""What a source, a work tree and the kernels of one series take."""


@click.command("doctor")
def command() -> None:
    """Check this machine: programs, sandbox, accelerator, disk. Exits with 4 when something needed is missing."""
    good = _packages()
    _fact("python", f"{platform.python_version()} in {sys.prefix}")
    _fact("processors", str(len(os.sched_getaffinity(0))))
    good = _disk() and good
    _sandbox()
    if good:
        _accelerator()
    sys.exit(0 if good else 4)


def _fact(name: str, text: str, good: bool | None = None) -> None:
    mark = {True: click.style("ok", fg="green"), False: click.style("no", fg="red"), None: "  "}[good]
    click.echo(f"{mark} {name:<14} {text}")


def _packages() -> bool:
    """Every probe of packages.txt; says the one command that installs what is missing.

    False when the lab cannot do without one of them.
    """
    missing: dict[str, str] = {}
    for line in resources.files("harness").joinpath("packages.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        probe, package, purpose = line.split()
        found = probe if probe.startswith("/") and Path(probe).exists() else process.find(probe)
        _fact(purpose, f"{probe}: {found or f'missing (package {package})'}", bool(found))
        if not found:
            missing[package] = purpose
    if missing:
        click.echo(f"\n   apt-get install --no-install-recommends {' '.join(missing)}\n")
    return set(missing.values()) <= {"tests"}


def _disk() -> bool:
    root = cache_root()
    place = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**20
    _fact("cache", f"{root}: {free / 1024:.0f} GiB free", free >= NEEDED_MIB)
    return free >= NEEDED_MIB


def _sandbox() -> None:
    works = process.sandbox_works()
    _fact(
        "bubblewrap",
        "builds and QEMU are confined" if works else "cannot make its namespaces here: nothing is confined",
        works,
    )


def _accelerator() -> None:
    """What is known of KVM here; with a kernel at hand it is found out by booting it."""
    from harness.cache import Cache
    from harness.machine import accel

    cache = Cache(cache_root())
    known = accel.remembered(cache)
    if known is None:
        hint = "a guest is tried under KVM by the first `lab run`" if accel.KVM.exists() else "there is no /dev/kvm"
        _fact("accelerator", f"not known yet: {hint}")
        return
    _fact("accelerator", f"{known.accelerator.value}: {known.reason}", True)
