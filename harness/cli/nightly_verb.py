"""lab nightly: the matrix of nightly.toml, once."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.screen import duration
from harness.errors import LabError

if TYPE_CHECKING:
    from harness.nightly.book import Book, Plan
    from harness.nightly.conduct import Prepared
    from harness.nightly.morning import Morning
    from harness.nightly.team import Team
    from harness.runner.prepare import Place


@click.command("nightly")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Instead of nightly.toml of the workspace.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be run and how long it takes; run nothing.")
@click.option("--resume", is_flag=True, help="Go on with the last night that was stopped.")
@click.option("--cluster", metavar="WHERE", help="tcp://SCHEDULER, hosts.toml, slurm: many machines (docs/scale.md).")
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Cores to use (default: all).")
def command(path: Path | None, only_plan: bool, resume: bool, cluster: str | None, jobs: int | None) -> None:
    """Run the matrix of nightly.toml: every cell once, failures again, and say in the morning what is new.

    \b
    lab nightly --plan       the cells, what is built, and the time it takes
    lab nightly              all of it; results/nightly/ has the summary as text, HTML and JUnit
    lab nightly --resume     a night that was stopped, from where it was

    Exits with 0 when all is as promised or known, 1 when a case failed, was flaky or was not run; else with the worst
    of what kept a cell from being run: 2 the request, 3 a build, 4 the machine.
    """
    from harness.catalogue.nightly import FILE, load_nightly
    from harness.history.store import History
    from harness.nightly import conduct
    from harness.nightly.team import team

    place = options.place()
    declared = load_nightly(path or place.workspace.root / FILE, place.catalogue)
    began = time.monotonic()
    with team(cluster, jobs) as chosen:
        with History.of(place.workspace) as history:
            prepared = conduct.prepare(place, declared, history, chosen.cores)
        if only_plan:
            show_plan(prepared, chosen.cores)
            return
        with _book(place, prepared, chosen, resume) as (book, plan):
            code = _run(place, book, plan, prepared, chosen, began)
    sys.exit(code)


class _book:  # noqa: N801 - used like a function
    """The night's folder: a new one, or the one to go on with."""

    def __init__(self, place: Place, prepared: Prepared, chosen: Team, resume: bool) -> None:
        self._given = place, prepared, chosen, resume

    def __enter__(self) -> tuple[Book, Plan]:
        from harness.nightly import book, conduct

        place, prepared, chosen, resume = self._given
        self._open = book.unfinished(place.workspace) if resume else book.Book.begin(place.workspace)
        if resume:
            return self._open, conduct.restored(place, self._open, prepared)
        seconds = prepared.outlook(chosen.cores).seconds
        plan = conduct.plan_of(place, self._open.name, prepared, chosen.where, seconds)
        self._open.write_plan(plan)
        return self._open, plan

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)


def _run(place: Place, book: Book, plan: Plan, prepared: Prepared, team: Team, began: float) -> int:
    from harness.cli.night_screen import NightScreen, last_words
    from harness.nightly import conduct

    labels = {kernel.identity: f"kernel {kernel.label}" for kernel in prepared.kernels}
    click.echo(f"{plan.name}: {len(plan.cells)} cells on {plan.where}, about {duration(plan.seconds)}")
    with NightScreen(labels) as screen, team.executor(place, prepared, screen, plan.name) as executor:
        night = conduct.conduct(place, book, plan, prepared, executor, screen)
        remarks = tuple(executor.remarks)
    with NightScreen(labels) as screen:
        causes = conduct.find_causes(place, plan, screen) if prepared.declared.bisect else []
    found = conduct.finish(place, book, plan, night, began, remarks, causes)
    _send(prepared, found)
    last_words(found, "/".join(book.folder.parts[-3:]))
    return found.code


def _send(prepared: Prepared, found: Morning) -> None:
    """The mail, when one is declared. That it cannot be sent is said; the night's status is what the night was."""
    from harness.nightly import mail

    declared = prepared.declared.mail
    if declared is None or (declared.when == "red" and found.code == 0):
        return
    try:
        mail.send(declared, mail.compose(declared, found))
    except LabError as exc:
        click.echo(f"the summary was not sent: {exc.message}", err=True)


def show_plan(prepared: Prepared, cores: int) -> None:
    """What would be run, with the time from the memory."""
    from harness.review.figures import counted

    outlook = prepared.outlook(cores)
    for kernel in prepared.kernels:
        click.echo(f"build  {kernel.label:<58} {duration(kernel.seconds / cores):>8}")
    for each in prepared.planned:
        waits = f"   needs {counted(len(each.needs), 'build')}" if each.needs else ""
        click.echo(f"run    {each.cell.id:<58} {duration(each.seconds):>8}{waits}")
    for left in prepared.matrix.left_out:
        click.echo(f"not    {left.cell.id:<58} {left.reason}")
    for over in prepared.over_budget:
        click.echo(f"not    {over.cell.id:<58} no room in the budget of {prepared.declared.budget} minutes")
    cells = counted(len(prepared.planned), "cell")
    click.echo(
        f"\n{cells} on {counted(cores, 'core')}: about {duration(outlook.seconds)}; "
        f"kernels: {len(prepared.needed.there)} in the cache, {len(prepared.kernels)} to be built"
    )
