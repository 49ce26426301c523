"""lab series: what a series is, and whether each of its patches is fit to be posted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.screen import Screen, duration, hanging
from harness.cli.watch import STAGES

if TYPE_CHECKING:
    from harness.kernel.series import Patch
    from harness.progress import Step
    from harness.runner.checked import Check, Report, Result

CHECKS = ("apply", "style", "warnings", "sparse", "off", "build", "boot")


@click.group("series")
def command() -> None:
    """What the series of the workspace are, and whether their patches are fit to be posted."""


@command.command("list")
def list_() -> None:
    """Show each series: its patches, the bases it is for, what it requires."""
    from harness.runner.walk import declared

    place = options.place()
    for name, series in sorted(place.catalogue.series.items()):
        patches = declared(place, name).patches
        after = f", after {' and '.join(series.requires)}" if series.requires else ""
        head = f"{name:20} {len(patches):3} patches on {' and '.join(series.bases)}{after}   "
        click.echo(hanging(head, series.title))


@command.command("show")
@click.argument("name", metavar="SERIES")
@click.option("--base", metavar="NAME", help="As it is on another base than its first.")
def show(name: str, base: str | None) -> None:
    """Show the patches of a series in order, and what each adds and removes."""
    from harness.kernel.patch import counts
    from harness.runner.walk import declared

    series = declared(options.place(), name, base)
    for patch in series.patches:
        plus, minus = counts(patch.diff)
        click.echo(f"{patch.number:4}  {f'+{plus}':>6} {f'-{minus}':>5}  {patch.title}")


@command.command("check")
@click.argument("name", metavar="SERIES")
@click.option("--base", metavar="NAME", help="Another base than the series' first.")
@click.option("--only", metavar="CHECK,...", help=f"Some of the checks: {', '.join(CHECKS)}.")
@click.option("--config", metavar="FRAGMENT", multiple=True, help="A further config fragment (kasan, lockdep).")
def check(name: str, base: str | None, only: str | None, config: tuple[str, ...]) -> None:
    """Hold each patch of a series to what a maintainer asks: it applies, builds and boots, and adds no complaint.

    \b
    lab series check checkpoint-relink                        everything; minutes the first time
    lab series check checkpoint-relink --only apply,style     seconds

    What was found out before is not done again: a check that was interrupted goes on where it stopped.
    Exits with 0 when every patch is good, 1 when not, 2 to 4 as every verb.
    """
    from harness.runner.walk import declared, walk

    place = options.place()
    series = declared(place, name, base)
    wanted = chosen(only)
    with WalkScreen() as screen:
        report = walk(place, series, options.wishes(config), screen, wanted)
    show_report(report)
    sys.exit(0 if report.good else 1)


def chosen(only: str | None) -> tuple[Check, ...]:
    from harness.catalogue.load import nearest
    from harness.runner.checked import Check

    if only is None:
        return tuple(Check)
    words = [word.strip() for word in only.split(",") if word.strip()]
    for word in words:
        if word not in list(Check):
            near = nearest(word, list(Check))
            raise click.UsageError(f"there is no check {word!r}." + (f" Did you mean '{near}'?" if near else ""))
    return tuple(Check(word) for word in words)


class WalkScreen(Screen):
    """A ``Watcher`` of a walk: one live line over all patches and checks."""

    _done = 0
    _total = 0
    _at = ""

    def step(self, step: Step) -> None:
        inner = STAGES.get(step.stage, step.stage)
        count = f" {step.done}/{step.total}" if step.total else ""
        self._tell(f"{self._at}: {inner}{count}")

    def checking(self, patch: Patch, check: Check, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._at = f"{patch.number}/{patch.of} {check.value}"
        self._tell(self._at)

    def checked(self, patch: Patch, result: Result, done: int, total: int) -> None:
        self._done = done
        if result.outcome.value == "red":
            self.line(f"{patch.number:4}  {click.style(result.check.value, fg='red')}  {_first(result.note)}")

    def _tell(self, note: str) -> None:
        from harness.progress import Step

        super().step(Step("checking", self._done, self._total, note))


MARKS = {"good": ("ok", "green"), "red": ("RED", "red"), "not done": ("-", "yellow")}


def show_report(report: Report) -> None:
    """The table of patches and checks, then each red one's story."""
    head = "".join(f"{check.value:>10}" for check in report.checks)
    click.echo(f"\n{report.series.name} on {report.series.base}")
    click.secho(f"{'':4}{head}  patch", bold=True)
    for row in report.rows:
        click.echo(f"{row.patch.number:4}" + "".join(map(_mark, row.results)) + f"  {row.patch.title}")
    if report.cover:
        _cover(report.cover, report.checks)
    for row in report.rows:
        for result in row.results:
            if result.outcome.value == "red":
                _story(row.patch.path.name, result)
    if report.cover and report.cover.outcome.value == "red":
        _story("the cover letter", report.cover)
    for excuse in report.idle:
        click.echo(f"\nseries.toml explains {excuse}, and nothing complains of it: remove it")
    _summary(report)


def _mark(result: Result) -> str:
    word, colour = MARKS[result.outcome.value]
    text = f"{word} ({result.excused})" if result.excused and word == "ok" else word
    return click.style(f"{text:>10}", fg=colour)


def _cover(result: Result, checks: tuple[Check, ...]) -> None:
    cells = (_mark(result) if check is result.check else f"{'':>10}" for check in checks)
    click.echo(f"{'':4}" + "".join(cells) + "  cover letter")


def _story(what: str, result: Result) -> None:
    click.secho(f"\n{what}: {result.check.value}", bold=True)
    told = [finding.shown for finding in result.open] or result.note.splitlines()
    for line in told:
        click.echo(f"    {line}")
    if result.log:
        click.echo(f"    the whole log: {result.log}")


def _summary(report: Report) -> None:
    good = sum(row.good for row in report.rows)
    seconds = sum(result.seconds for row in report.rows for result in row.results)
    excused = sum(result.excused for row in report.rows for result in row.results)
    explained = f", {excused} complaints explained in series.toml" if excused else ""
    click.echo(f"\n{good} of {len(report.rows)} patches good{explained} ({duration(seconds)} of checks)")


def _first(text: str) -> str:
    from harness.results.text import plain

    text = plain(text)
    return text.splitlines()[0] if text else ""
