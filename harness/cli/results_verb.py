"""lab results: what was run, one run whole, and a run judged again."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.paths import find_workspace
from harness.results import index

if TYPE_CHECKING:
    from harness.results.published import Published

STYLES = {
    index.State.GREEN: "green",
    index.State.RED: "red",
    index.State.FAILED: "red",
    index.State.KILLED: "yellow",
    index.State.NO_RESULT: "yellow",
}


@click.group("results", invoke_without_command=True)
@click.option(
    "-n", "most", type=click.IntRange(0), default=50, show_default=True, help="List so many runs; 0: all there are."
)
@click.pass_context
def command(ctx: click.Context, most: int) -> None:
    """List the runs, newest first; `show` and `judge` take a run's name, a part of it, or `last`."""
    if ctx.invoked_subcommand is None:
        _list(find_workspace().runs, most)


def _list(runs: Path, most: int) -> None:
    there = index.folders(runs)
    if not there:
        click.echo("nothing was run yet: lab run SCENARIO")
    shown = there[:most] if most else there
    _lines([index.entry(path) for path in shown])
    if len(shown) < len(there):
        click.echo(f"... and {len(there) - len(shown)} older ones: lab results -n 0")


def _lines(found: Sequence[index.Entry]) -> None:
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        state = click.style(f"{entry.state.value:18}", fg=STYLES.get(entry.state))
        click.echo(f"{entry.name:<{width}}  {state}  {_line(entry)}".rstrip())


def _line(entry: index.Entry) -> str:
    from harness.results import text

    return text.summary(entry.result) if entry.result and not entry.why else entry.why


@command.command("show")
@click.argument("run", default="last")
@click.option("--format", "form", type=click.Choice(["text", "json", "junit", "ktap", "kcidb"]), default="text")
def show(run: str, form: str) -> None:
    """Show a run again: the table and what was not as expected."""
    from harness.cli.run_verb import answer

    entry = index.find(find_workspace().runs, run)
    if entry.result is None:
        click.echo(f"{entry.name}: {entry.state.value}", err=True)
        sys.exit(4)
    if form == "kcidb" and entry.manifest is not None:
        from harness.results.kcidb import Ran, document

        click.echo(document([Ran(entry.name, entry.manifest, entry.result)]).json(), nl=False)
        sys.exit(0 if entry.result.as_expected else 1)
    exact = entry.manifest is not None and entry.manifest.options.get("guests") == "exact"
    answer(entry.result, "/".join(entry.path.parts[-3:]), form, costs=exact)
    sys.exit(0 if entry.result.as_expected else 1)


@command.command("judge")
@click.argument("run", default="last")
def judge(run: str) -> None:
    """Judge a run again from its saved consoles and KTAP, with the rules of today; nothing is changed on disk."""
    from harness.results import text

    entry = index.find(find_workspace().runs, run)
    again = index.rejudge(entry)
    width = shutil.get_terminal_size((100, 24)).columns
    click.echo(text.render(again.result, width=width, colour=text.wants_colour(sys.stdout)))
    for change in again.changes:
        click.echo(
            f"judged anew  {change.state}/{change.case}: {text.word(change.before)} -> {text.word(change.after)}"
        )
    if not again.changes:
        click.echo("every case is judged as it was")
    sys.exit(0 if again.result.as_expected else 1)


@command.command("publish")
def publish() -> None:
    """Write the newest whole run of each scenario to results/published/: outcomes in words, to be committed.

    A scenario without such a run here keeps the one that is published. Runs on other bases, and on kernels with further
    fragments, have folders of their own.
    """
    from harness.catalogue.load import load
    from harness.results import published

    workspace = find_workspace()
    catalogue = load(workspace)
    scenarios, entries = catalogue.scenarios(), index.entries(workspace.runs)
    kinds = {published.kind_of(entry, catalogue) for entry in entries}
    for kind in ("", *sorted(kinds - {""})):
        folder = workspace.published / kind
        before, taken = published.read(folder), published.take(entries, catalogue, kind)
        runs = {name: run for name, run in sorted({**before, **taken}.items()) if name in scenarios}
        if kind and not runs:
            continue
        published.write(folder, runs, {name: scenario.suite for name, scenario in scenarios.items()})
        for name in runs if kind else scenarios:
            click.echo(f"{name:<{max(map(len, scenarios))}}  {_published_line(runs.get(name), new=name in taken)}")
        where = f"on {kind}: " if kind else ""
        click.echo(f"{where}{len(runs)} of {len(scenarios)} scenarios, {len(taken)} of them from runs here")


def _published_line(run: Published | None, *, new: bool) -> str:
    if run is None:
        return click.style("no run of all its cases of today", fg="yellow")
    return f"{run.finished}  {run.summary}" + ("" if new else click.style("  (as published before)", fg="yellow"))
