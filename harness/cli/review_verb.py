"""lab review: a posted series, from its mails to evidence."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.screen import duration
from harness.cli.series_verb import WalkScreen
from harness.cli.watch import RunScreen

if TYPE_CHECKING:
    from harness.review.desk import Desk
    from harness.review.model import Review
    from harness.review.reply import Reply
    from harness.runner.prepare import Place, Wishes


class ReviewScreen(RunScreen, WalkScreen):
    """A ``Watcher`` of a review: the walk's line while it walks, the runs' lines while they run."""

    def built(self, *_args: object) -> None:
        """The walk has said it."""


def _person(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>", value):
        raise click.BadParameter(f"{value!r} is no 'NAME <ADDRESS>'")
    return value


@click.command("review")
@click.argument("sources", nargs=-1, metavar="[MBOX|-|FOLDER|FILE|RANGE|MESSAGE-ID|SERIES]...")
@click.option("--run", "patterns", multiple=True, metavar="SCENARIO[/CASE]", help="Cases to run at every patch.")
@click.option("--base", metavar="NAME", help="The base, instead of the one that the mails or their blobs name.")
@click.option("--requires", metavar="SERIES", multiple=True, help="A series of the workspace below it.")
@click.option("--tree", "trees", metavar="PATH", multiple=True, type=click.Path(exists=True, file_okay=False,
              path_type=Path), help="A git tree to look for the base in, or the tree of a RANGE.")  # fmt: skip
@click.option("--version", "version", type=click.IntRange(1), metavar="N", help="Of several versions in the mails.")
@click.option("--option", "kernel_options", metavar="CONFIG_X[=V]", multiple=True, help="That the series brings.")
@click.option("--config", metavar="FRAGMENT", multiple=True, help="A further config fragment (kasan, lockdep).")
@click.option("--only", metavar="CHECK,...", help="Some of the checks of `lab series check`.")
@click.option("--coverage", is_flag=True, help="Which added lines the cases run (one more kernel).")
@click.option("--cost", "costs", metavar="SCENARIO[/CASE]", multiple=True, help="Cases that count instructions.")
@click.option("--repeat", type=click.IntRange(0), default=0, metavar="N", help="Failure rates over so many runs.")
@click.option("--reply", "replies", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A review reply: its patch when no source is given, and its remarks.")  # fmt: skip
@click.option("--answers", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Markdown tables of earlier remarks and answers (default: the series' REVIEW.md).")  # fmt: skip
@click.option("--bisect", metavar="SCENARIO/CASE", help="Only find the patch that turned this case.")
@click.option("--anyway", is_flag=True, help="Go on with the patches that apply when some do not.")
@click.option("--fresh", is_flag=True, help="Run what an earlier review has run.")
@click.option("--trust", is_flag=True, help="Build without a sandbox where there is none.")
@click.option(
    "--tester", metavar="'NAME <ADDRESS>'", default="", callback=_person, help="Who gives the Tested-by: in the mail."
)
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Guests at a time (default: processors).")
def command(
    sources: tuple[str, ...],
    patterns: tuple[str, ...],
    base: str | None,
    requires: tuple[str, ...],
    trees: tuple[Path, ...],
    version: int | None,
    kernel_options: tuple[str, ...],
    config: tuple[str, ...],
    only: str | None,
    coverage: bool,
    costs: tuple[str, ...],
    repeat: int,
    replies: tuple[Path, ...],
    answers: Path | None,
    bisect: str | None,
    anyway: bool,
    fresh: bool,
    trust: bool,
    tester: str,
    jobs: int | None,
) -> None:
    """Turn a posted series into evidence: each patch alone, each case at each patch, what is run of what it adds.

    \b
    lab review series.mbox --run 'ext4-*'          also a folder, files, a git range, a message-id (b4)
    cat 0*.patch | lab review -                    mails on standard input, one behind the other
    lab review series.mbox --run ext4-unlinked --coverage --cost ext4-cost --repeat 20
    lab review --reply reply.eml                   the patch and the remarks back from a reviewer's mail
    lab review --bisect ext4-unlinked/CASE         which patch of the suite's own series turned it

    Exits with 0 when all is as promised, 1 when not, 2 when the series does not apply, 3 and 4 as every verb.
    """
    from harness.cli.series_verb import chosen
    from harness.review.evidence import Ask, gather
    from harness.review.out import publish
    from harness.review.remarks import with_replies

    place, checks = options.place(), chosen(only)
    layout: dict[str, Any] = {
        "base": base, "requires": requires, "trees": trees, "options": kernel_options, "anyway": anyway, "trust": trust,
    }  # fmt: skip
    taken = [_told(path) for path in replies]
    with RunScreen() as screen:
        desk = _desk(place, sources, taken, bisect, version, layout | {"progress": screen.step})
    wishes = options.wishes(config, jobs=jobs)
    if bisect:
        _bisect(desk, bisect, wishes)
        return
    ask = Ask(("lab", *sys.argv[1:]), patterns, checks, coverage, costs, repeat, fresh, answers)
    with ReviewScreen() as screen:
        review = gather(desk, ask, wishes, screen)
    review = with_replies(review, replies)
    folder = publish(place.workspace.root / "results" / "reviews", review, tester)
    _show(review, folder)
    sys.exit(0 if review.good else 1)


def _told(path: Path) -> Reply:
    """A reply, shown: the patch as far as it was quoted, and each remark in its place."""
    from harness.results.text import plain
    from harness.review.reply import read_mail

    data = path.read_bytes()
    if b"\0" in data:
        raise click.UsageError(f"--reply {path}: that is no mail.")
    reply = read_mail(data)
    click.secho(f"{path.name}: {plain(reply.subject) or 'no subject'}", bold=True)
    hunks, files = (
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((reply.hunks, "hunk"), (len(reply.files), "file"))
    )
    click.echo(f"quotes {hunks} of {files}: {plain(', '.join(reply.files)) or 'no patch'}")
    for text in reply.missing:
        click.echo(f"  not whole: {plain(text)}")
    for remark in reply.remarks:
        click.secho(f"  {plain(remark.where.shown)}", fg="cyan")
        click.echo("\n".join(f"      {plain(line)}" for line in remark.text.splitlines()))
    for key, value in reply.trailers:
        click.echo(f"  gives {key}: {plain(value)}")
    return reply


def _desk(
    place: Place, sources: tuple[str, ...], replies: list[Reply], bisect: str | None, version: int | None,
    layout: dict[str, Any],
) -> Desk:  # fmt: skip
    """What is under review: a series of the workspace, mails, or what a reply quotes."""
    from harness.review import desk, intake
    from harness.review.posting import assemble, parse

    catalogue = place.catalogue
    if not sources and bisect:
        sources = (_series_of(place, bisect),)
    if len(sources) == 1 and sources[0] in catalogue.series:
        return desk.own(place, sources[0], layout["base"], layout["progress"])
    if sources:
        trees = layout["trees"]
        mails = intake.mails(sources, trees[0] if trees else None)
        ranged = not trees and any(".." in source for source in sources)
        return desk.lay_out(place, assemble(mails, version), **(layout | ({"trees": (Path.cwd(),)} if ranged else {})))
    quoting = [reply for reply in replies if reply.files]
    if not quoting:
        raise click.UsageError(
            "a mbox, folder, file, range, message-id or series is wanted, or --reply with a patch in it."
        )
    return desk.lay_out(place, assemble([parse(reply.patch) for reply in quoting], partial=True), **layout)


def _series_of(place: Place, bisect: str) -> str:
    """The series that a case's suite is about."""
    from harness.catalogue.load import select

    scenario = next(iter(select(place.catalogue, [bisect])))
    series = place.catalogue.suites[scenario.suite].series
    if not series:
        raise click.UsageError(f"{bisect} is about no series: give the mails, or the name of a series.")
    return series


def _bisect(desk: Desk, pattern: str, wishes: Wishes) -> None:
    from harness.review.bisect import find

    with ReviewScreen() as screen:
        answer = find(desk, pattern, wishes, screen, ("lab", *sys.argv[1:]))
    for step in answer.steps:
        click.echo(f"{step.name:>8}  {step.word}")
    click.echo(answer.words)
    sys.exit(0 if answer.found else 1)


def _show(review: Review, folder: Path) -> None:
    from harness.review import text

    click.echo("\n" + text.table(review))
    good = review.question if review.good else f"NOT {review.question}"
    click.echo(f"\n{good}      {'/'.join(folder.parts[-3:])}/report.html      {duration(review.seconds)}")
