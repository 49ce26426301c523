"""lab cache: what is kept, how big it is, and how to make it smaller."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click

from harness.cache import lock
from harness.paths import cache_root

DAY = 86_400


@click.group("cache", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show what the cache holds; `lab cache prune` drops what was not used for long."""
    if ctx.invoked_subcommand is None:
        _show(cache_root())


def _size(path: Path) -> int:
    return sum(file.lstat().st_blocks * 512 for file in path.rglob("*") if not file.is_dir())


def _entries(kind: Path) -> list[Path]:
    return sorted(path for path in kind.iterdir() if path.is_dir() and not path.name.startswith("."))


def _show(root: Path) -> None:
    click.echo(f"{root}   (LAB_CACHE moves it)")
    if not root.is_dir():
        click.echo("  empty")
        return
    for kind in sorted(path for path in root.iterdir() if path.is_dir()):
        click.echo(f"  {kind.name:12} {len(_entries(kind)):4} entries  {_size(kind) / 2**20:8.0f} MiB")


@command.command("prune")
@click.option("--days", type=float, default=14, show_default=True, help="Drop what was not used for so long.")
@click.option("--kind", multiple=True, help="Only entries of this kind (a folder of the cache).")
def prune(days: float, kind: tuple[str, ...]) -> None:
    """Drop artefacts that were not used for DAYS; they are made again when needed. What is being made is left alone."""
    root = cache_root()
    oldest = time.time() - days * DAY
    freed = 0
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if not folder.is_dir() or folder.name == "venv" or (kind and folder.name not in kind):
            continue
        for entry in _entries(folder):
            if entry.stat().st_mtime < oldest:
                freed += _size(entry)
                with lock(folder / f".{entry.name}.lock"):
                    shutil.rmtree(entry)
    click.echo(f"freed {freed / 2**20:.0f} MiB of {root}")
