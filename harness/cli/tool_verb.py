"""lab tool: a reader of what a series makes, on the host."""

from __future__ import annotations

import sys

import click


@click.command("tool", context_settings={"ignore_unknown_options": True})
@click.option("--base", metavar="NAME", help="Another base than the series' first.")
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(base: str | None, name: str | None, arguments: tuple[str, ...]) -> None:
    """Run a program of testcases/tools on the host, built with the headers of the series that names it.

    \b
    lab tool                            which there are
    lab tool ckptinfo -o image.1        such a one: the records of a checkpoint image, and who shares what

    Exits with what the tool exits with.
    """
    from harness.cli import options
    from harness.cli.watch import RunScreen
    from harness.runner import tool

    place = options.place()
    if name is None:
        for known, series in sorted(tool.tools(place.catalogue).items()):
            click.echo(f"  {known:20}  {series}")
        return
    with RunScreen(quiet=True) as screen:
        program = tool.make(place, name, base, screen.step)
    done = tool.run(program, arguments)
    click.echo(done.stdout, nl=False)
    click.echo(done.stderr, nl=False, err=True)
    sys.exit(done.returncode)
