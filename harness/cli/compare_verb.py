"""lab compare: two runs side by side."""

from __future__ import annotations

import sys

import click

from harness.errors import UserError
from harness.paths import find_workspace


@click.command("compare")
@click.argument("before")
@click.argument("after", default="last", required=False)
def command(before: str, after: str) -> None:
    """What changed from one run to another: verdicts, kernels, environment, exact costs.

    A run is named by its folder's name, a part of it, or `last`. Exits with 1 when a verdict is not the same.
    """
    from harness.history import compare, query, text
    from harness.history.store import History

    with History.of(find_workspace()) as history:
        old, new = query.run(history, before), query.run(history, after)
        if old.name == new.name:
            raise UserError(f"{before!r} and {after!r} are one run: {old.name}", hint="lab compare BEFORE AFTER")
        found = compare.pairs(query.points(history, run=old.name), query.points(history, run=new.name))
    for line in text.compare(list(compare.conditions(old, new, found)), found, (old.name, new.name)):
        click.echo(line)
    sys.exit(0 if all(pair.same_verdict for pair in found) else 1)
