"""lab regressions: what passed before, fails now, and failed again."""

from __future__ import annotations

import sys

import click

from harness.paths import find_workspace


@click.command("regressions")
@click.option("--since", default="", metavar="WHEN", help="First failed since: 12h, 7d, 2w ago; or a date.")
@click.option("--scenario", default="", metavar="PATTERN", help="Only these scenarios (shell wildcards).")
def command(since: str, scenario: str) -> None:
    """What passed before, fails now, and failed again; then what failed once, and what passes and fails in turns.

    Complaints of the kernel that known-splats.toml declares are no news until their day of expiry. Exits with 1 when
    there is a regression that is not all known.
    """
    import datetime

    from harness.catalogue.load import KNOWN, known_splats
    from harness.history import moment, query, text, trend
    from harness.history.store import History
    from harness.results.run import now

    workspace = find_workspace()
    known, today = known_splats(workspace.root / KNOWN), datetime.datetime.now(datetime.UTC).date()
    with History.of(workspace) as history:
        found = trend.tracks(query.points(history, scenario=scenario))
        wrong = trend.since(found, moment.since(since, now()) if since else "")
        first = query.first_seen(history, [c.fingerprint for track in wrong for c in track.last.complaints])
    news = 0
    for standing in (trend.Standing.REGRESSION, trend.Standing.SUSPECT, trend.Standing.FLAKY):
        for track in (each for each in wrong if each.standing is standing):
            click.echo("\n".join(text.regression(track, known, today, first)) + "\n")
            excused = trend.excused(track.last, known, today)
            news += standing is trend.Standing.REGRESSION and not excused
    click.echo(f"{news} new regressions" if news != 1 else "1 new regression")
    sys.exit(1 if news else 0)
