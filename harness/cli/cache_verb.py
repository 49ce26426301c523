"""lab cache: what is kept, how big it is, and how to make it smaller."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cache import Cache
from harness.errors import UserError
from harness.paths import cache_root
from harness.prune import Entry, drop, due, folders, size_of

MIB = 2**20


@click.group("cache", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show what the cache holds; `lab cache prune` drops what was not used for long."""
    if ctx.invoked_subcommand is None:
        _show(cache_root())


def _show(root: Path) -> None:
    click.echo(f"{root}   (LAB_CACHE moves it)")
    if not root.is_dir():
        click.echo("  empty")
        return
    for kind in sorted(path for path in root.iterdir() if path.is_dir()):
        click.echo(_line(kind.name, len(folders(kind)), size_of(kind)))


def _line(kind: str, count: int, size: int) -> str:
    return f"  {kind:12} {count:4} {'entry  ' if count == 1 else 'entries'}  {size / MIB:8.0f} MiB"


@command.command("prune")
@click.option(
    "--days", type=click.FloatRange(min=0), default=14, show_default=True, help="Drop what was not used for so long."
)
@click.option("--kind", multiple=True, help="Only entries of this kind (a folder of the cache).")
@click.option("-y", "--yes", is_flag=True, help="Drop them without asking.")
def prune(days: float, kind: tuple[str, ...], yes: bool) -> None:
    """Show what was not used for DAYS, and drop it when you say so; it is made again when needed.

    What is being made, was used within the last hour, or was used since a lab that still runs began is left alone.
    """
    cache = Cache(cache_root())
    entries = due(cache, days, kind)
    if not entries:
        click.echo(f"nothing in {cache.root} may go: all of it was used within {days:g} days, or is in use")
        return
    _tell(entries)
    if not (yes or _agreed()):
        click.echo("nothing was dropped")
        return
    gone = drop(entries)
    click.echo(f"freed {sum(entry.size for entry in gone) / MIB:.0f} MiB of {cache.root}")
    if len(gone) < len(entries):
        click.echo(f"left alone, as a lab works with them: {len(entries) - len(gone)}")


def _tell(entries: Sequence[Entry]) -> None:
    for kind, some in itertools.groupby(entries, key=lambda entry: entry.kind):
        sizes = [entry.size for entry in some]
        click.echo(_line(kind, len(sizes), sum(sizes)))


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UserError("nothing was dropped: there is nobody to ask", hint="`--yes` drops what is listed above")
    return click.confirm("drop them?")
