"""lab cost: what calls cost in each state of a series, and over a parameter."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.watch import RunScreen
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.results.model import CaseResult

EVERY = ("base", "without", "with")


@click.command("cost")
@click.argument("patterns", nargs=-1, required=True, metavar="SCENARIO[/CASE]...")
@options.what
@click.option("--vary", "varied", metavar="NAME=V,V...", help="Run for each value; the program sees LAB_NAME.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Runs of each; all must agree.")
@options.JOBS
def command(
    patterns: tuple[str, ...],
    kernels: options.Kernels,
    varied: str | None,
    repeat: int,
    jobs: int | None,
) -> None:
    """Count the instructions that cases report (lab_cost), in guests where every run gives the same number.

    \b
    lab cost ext4-cost                                                     base, without, with: who pays?
    lab cost ext4-large-cost/checkpoint_of_orphan --vary size=4K,1M,64M,1G    over the size of the file
    lab cost ext4-cost/rename_file --repeat 10                                is it the same ten times?

    Exits with 1 when a case is not as expected, or when two runs do not report the same.
    """
    from harness.catalogue.load import select
    from harness.plan import plan
    from harness.results import costs
    from harness.runner import cost

    vary = cost.parse(varied) if varied else cost.NOTHING
    place = options.place()
    chosen = select(place.catalogue, patterns)
    request = kernels.request
    if not kernels.at and not varied and any(place.catalogue.suites[scenario.suite].series for scenario in chosen):
        request = replace(request, at=EVERY)
    wishes = options.wishes(kernels.config, jobs=jobs)
    good = True
    for job in plan(place.catalogue, chosen, request):
        results = []
        with RunScreen() as screen:
            for value, finished in cost.measure(place, job, request, wishes, vary, repeat, screen):
                results.append((value, finished.result))
                good = good and finished.result.as_expected
                _unexpected(screen, value, finished.result.unexpected, finished.folder.shown)
                screen.say_less()
        if not cost.reports(results):
            raise UserError(f"no case of {job.scenario.name} reported a cost", hint="testcases/include/cost.h")
        lines = costs.collect(results)
        states = [state.name for state in job.states]
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo("\n" + (costs.draw(vary.name, lines, width) if varied else costs.table(lines, states)))
        good = _agree(costs.unequal(lines), repeat) and good
    sys.exit(0 if good else 1)


def _unexpected(screen: RunScreen, value: str, cases: tuple[CaseResult, ...], where: str) -> None:
    from harness.results import text

    for case in cases:
        told = text.word(case.outcome)
        screen.clear()
        click.secho(f"{case.case}, {case.state} {value}: {told}   {where}/{case.folder}", fg="red", err=True)


def _agree(unequal: list[str], repeat: int) -> bool:
    for line in unequal:
        click.secho(f"not the same: {line}", fg="red")
    if repeat > 1 and not unequal:
        click.echo(f"\nevery number was the same in {repeat} of {repeat} runs")
    return not unequal
