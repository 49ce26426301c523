"""lab build: the kernels of a scenario's series, and no guest."""

from __future__ import annotations

import click

from harness.cli import options
from harness.cli.watch import RunScreen


@click.command("build")
@click.argument("patterns", nargs=-1, required=True, metavar="SCENARIO...")
@options.what
@click.option("--refresh", is_flag=True, help="Ask again for the newest source of the base.")
def command(
    patterns: tuple[str, ...],
    kernels: options.Kernels,
    refresh: bool,
) -> None:
    """Build the kernels that `lab run` of the same scenarios would need, and say where they are."""
    from harness.catalogue.load import select
    from harness.kernel.build import build
    from harness.plan import plan
    from harness.runner.prepare import kernel_request

    place = options.place()
    planned = plan(place.catalogue, select(place.catalogue, patterns), kernels.request)
    wishes = options.wishes(kernels.config)
    with RunScreen() as screen:
        for job in planned:
            for state in job.states:
                kernel = build(kernel_request(place, job, state, wishes), place.cache, screen.step, refresh=refresh)
                screen.built(state, kernel)
                click.echo(f"         {kernel.vmlinux}")
