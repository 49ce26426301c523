"""lab shell: a guest taken over by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from harness.catalogue.load import select
from harness.cli import options
from harness.cli.watch import RunScreen
from harness.errors import UserError
from harness.plan import Job, Request, plan
from harness.runner.prepare import Place


@click.command("shell")
@click.argument("scenario", required=False)
@options.what
@options.how
@click.option(
    "--from", "left", metavar="RUN/STATE/CASE", help="The guest of a case that was not as expected: its disk."
)
def command(
    scenario: str | None,
    base: str | None,
    series: str | None,
    at: tuple[str, ...],
    config: tuple[str, ...],
    accel: str | None,
    cold: bool,
    jobs: int | None,
    left: str | None,
) -> None:
    """Open a shell in a guest of SCENARIO (at its last state unless --at says another); Ctrl-] leaves.

    \b
    lab shell ext4-unlinked                                   the tip of the series, an empty ext4 on /mnt
    lab shell --from last/with/orphan_comes_back              the disk as that case left it
    """
    from harness.kernel.build import build
    from harness.runner import prepare, shell

    place = options.place()
    disk: Path | None = None
    if left:
        scenario, at, disk = _left(place, left)
    if not scenario:
        raise UserError("a shell of what?", hint="lab shell SCENARIO, or lab shell --from RUN/STATE/CASE")
    job = _one(place, scenario, options.request(base, series, at))
    wishes = options.wishes(config, accel, cold or disk is not None, jobs)
    state = job.states[-1]
    with RunScreen() as screen, tempfile.TemporaryDirectory(prefix="lab-shell.") as scratch:
        kernel = build(prepare.kernel_request(place, job, state, wishes), place.cache, screen.step)
        screen.built(state, kernel)
        ready = prepare.pack(place, job, state, kernel, wishes, Path(scratch))
        ready = prepare.boot(ready, place.cache, Path(scratch), screen.step)
        screen.clear()
        click.echo(f"cases are in /cases/{job.scenario.suite}, the filesystem is on /mnt; Ctrl-] leaves")
        with shell.guest(ready, disk) as machine:
            machine.shell()
    click.echo()


def _one(place: Place, scenario: str, request: Request) -> Job:
    planned = plan(place.catalogue, select(place.catalogue, [scenario]), request)
    if len(planned) != 1:
        raise UserError(f"{scenario!r} is {len(planned)} scenarios; a shell is of one")
    return planned[0]


def _left(place: Place, text: str) -> tuple[str, tuple[str, ...], Path]:
    """Scenario, state and disk of ``RUN/STATE/CASE``."""
    from harness.results import index
    from harness.results.run import DISK, safe

    parts = text.rsplit("/", 2)
    if len(parts) != 3:
        raise UserError(
            f"--from {text}: that is not RUN/STATE/CASE", hint="for example --from last/with/orphan_comes_back"
        )
    run, state, case = parts
    entry = index.find(place.workspace.runs, run)
    disk = entry.path / "cases" / safe(state) / safe(case) / DISK
    if entry.manifest is None or not disk.is_file():
        raise UserError(
            f"{entry.name} kept no disk of {state}/{case}", hint="only cases that were not as expected leave one"
        )
    return entry.manifest.scenario, (state,), disk
