"""lab history: what became of a case over time; and run folders brought into the memory."""

from __future__ import annotations

import sys

import click

from harness.cli.screen import Screen
from harness.paths import find_workspace
from harness.progress import Step


class CaseOrCommand(click.Group):
    """`lab history import` is a command; `lab history ext4-unlinked/alias` is a case."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "show", self.commands["show"], args


@click.group("history", cls=CaseOrCommand, options_metavar="", subcommand_metavar="SCENARIO[/CASE]... | import")
def command() -> None:
    """What became of cases over time, from the workspace's memory (results/history.db).

    \b
    lab history ext4-unlinked/orphan_comes_back      one case, its last outcomes one by one
    lab history 'ext4-*' --since 14d                 a line a case
    lab history import                               add the run folders that the memory does not have

    A line draws the outcomes, oldest first: a dot is as promised; F, E, M, S, P are FAIL, ERROR, MISS, SKIP and a PASS
    that were not; a dash promised nothing.
    """


@command.command("show", hidden=True)
@click.argument("patterns", nargs=-1, required=True, metavar="SCENARIO[/CASE]...")
@click.option("--since", default="", metavar="WHEN", help="12h, 7d, 2w ago; or a date.")
def show(patterns: tuple[str, ...], since: str) -> None:
    """One line a case, state and set of conditions."""
    from harness.errors import UserError
    from harness.history import moment, query, text, trend
    from harness.history.store import History
    from harness.results.run import now

    start = moment.since(since, now()) if since else ""
    found: list[trend.Track] = []
    with History.of(find_workspace()) as history:
        for pattern in patterns:
            scenario, _, case = pattern.partition("/")
            points = query.points(history, scenario=scenario, case=case, since=start, details=False)
            if not points:
                raise UserError(f"the history has nothing of {pattern!r}", hint="`lab results` lists what was run")
            found += trend.tracks(points)
    for line in text.history(found):
        click.echo(line)


@command.command("import")
@click.option("--again", is_flag=True, help="Read the folders of stored runs again, too.")
def import_(again: bool) -> None:
    """Add the run folders that the memory does not have; `lab run` adds its own."""
    from harness.history.store import History, import_runs

    workspace = find_workspace()
    with Screen() as screen, History.of(workspace) as history:
        stored, left = import_runs(
            history, workspace.runs, again=again, told=lambda done, of: screen.step(Step("runs", done, of))
        )
        screen.clear()
        click.echo(f"{stored} runs were added, {len(history.names())} are remembered")
    for entry in left:
        click.echo(f"left out  {entry.name}: {entry.why or entry.state.value}", err=True)
    sys.exit(0)
