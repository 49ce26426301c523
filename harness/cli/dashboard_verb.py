"""lab dashboard: the workspace's memory as a static site."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.screen import Screen
from harness.paths import find_workspace
from harness.progress import Step


@click.command("dashboard")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where (default: results/dashboard).")
@click.option("--since", default="90d", show_default=True, metavar="WHEN", help="Where trends and cases' pages begin.")
@click.option("--serve", is_flag=True, help="Then serve it on the loopback address until Ctrl-C.")
@click.option("--port", default=8011, show_default=True, type=click.IntRange(0, 65535), help="With --serve; 0: any.")
def command(out: Path | None, since: str, serve: bool, port: int) -> None:
    """Write the dashboard: matrix, trends, what goes wrong, a page for each run and each case.

    It opens from disk and asks no network. Pages of runs are written once; the rest is made anew.
    """
    from harness.dashboard import site
    from harness.history import moment
    from harness.history.store import History
    from harness.results.run import now

    workspace = find_workspace()
    folder = (out or workspace.runs.parent / "dashboard").absolute()
    with Screen() as screen, History.of(workspace) as history:
        done = site.write(
            history, folder, since=moment.since(since, now()), told=lambda what, n, of: screen.step(Step(what, n, of))
        )
        screen.clear()
    click.echo(f"{done.index}   {done.written} pages written, {done.kept} were there")
    if serve:
        from harness.dashboard.serve import Server

        with Server(folder, workspace.runs, port) as server:
            click.echo(f"{server.address}   Ctrl-C ends it")
            server.run()
