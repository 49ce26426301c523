"""lab run: scenarios, each case in every state of its series."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import click

from harness.cli import options
from harness.cli.watch import RunScreen
from harness.results.model import RunResult

FORMATS = ("text", "json", "junit", "ktap")


@click.command("run")
@click.argument("patterns", nargs=-1, required=True, metavar="SCENARIO[/CASE]...")
@options.what
@options.how
@click.option("--exact", is_flag=True, help="Count instructions: costs are the same in every run (docs/exact.md).")
@click.option(
    "--record", is_flag=True, help="Keep what replays a case that does not pass (lab replay); implies --exact."
)
@click.option("--env", "environment", metavar="NAME=VALUE", multiple=True, help="A variable for the cases' programs.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Of the answer.")
def command(
    patterns: tuple[str, ...],
    kernels: options.Kernels,
    guests: options.Guests,
    exact: bool,
    record: bool,
    environment: tuple[str, ...],
    form: str,
) -> None:
    """Run scenarios: build the kernels, run each case in a fresh guest, show what the series changes.

    \b
    lab run ext4-unlinked                        red without the series, green with it
    lab run 'ext4-*'                             every suite on ext4
    lab run ext4-unlinked/orphan_comes_back      one case
    lab run ext4-unlinked --at 3                 with the first three patches of the series
    lab run selftest --cold                      every case booted from power-on

    Exits with 0 when all is as expected, 1 when not, 2 for a mistake in the request, 3 when a kernel or a case does not
    compile, 4 when the machine is at fault.
    """
    from harness.catalogue import variables
    from harness.catalogue.load import select
    from harness.plan import plan
    from harness.runner.company import company
    from harness.runner.exact import wishes as counting
    from harness.runner.run import run

    place = options.place()
    variables.check(environment)
    jobs_planned = plan(place.catalogue, select(place.catalogue, patterns), kernels.request)
    wishes = replace(options.wishes(kernels.config, guests), environment=environment)
    exact = exact or record
    if exact:
        wishes = replace(counting(wishes), record=record)
    shared = company(place.catalogue, [job.scenario for job in jobs_planned])
    good = True
    for index, job in enumerate(jobs_planned):
        if index and form == "text":
            click.echo()
        with RunScreen(quiet=form != "text") as screen:
            finished = run(place, job, replace(wishes, company=shared[job.scenario]), screen, _argv())
        answer(finished.result, finished.folder.shown, form, costs=exact)
        good = good and finished.result.as_expected
    sys.exit(0 if good else 1)


def answer(result: RunResult, where: str, form: str, costs: bool = False) -> None:
    """Print a run in one of FORMATS; ``costs`` when they were counted, not measured."""
    if form == "text":
        from harness.results import text

        width = shutil.get_terminal_size((100, 24)).columns
        colour = text.wants_colour(sys.stdout)
        click.echo("\n" + text.render(result, where=where, width=width, colour=colour, costs=costs))
    elif form == "json":
        from harness.results.run import to_json

        click.echo(to_json(result), nl=False)
    else:
        from harness.results import junit, ktap_out

        click.echo((junit if form == "junit" else ktap_out).render(result), nl=False)


def _argv() -> tuple[str, ...]:
    return ("lab", *sys.argv[1:])
