"""lab shell: a guest taken over by hand."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from harness.catalogue.load import select
from harness.cli import options
from harness.cli.watch import RunScreen
from harness.errors import UserError
from harness.plan import Job, Request, plan
from harness.runner.prepare import Place, Wishes

LEAVE = "the filesystem is on /mnt; Ctrl-] leaves"


@click.command("shell")
@click.argument("scenario", required=False)
@options.what
@options.how
@click.option("--from", "left", metavar="RUN/STATE/CASE", help="The guest of a case that was not as expected.")
@click.option("--disk", "only_disk", is_flag=True, help="With --from: only its disk as it was left, in a fresh guest.")
@click.option("--gdb", "debug", is_flag=True, help="With --from: gdb on that guest, with the kernel's symbols.")
@click.option(
    "-c", "--command", "commands", multiple=True, metavar="CMD", help="gdb runs these and ends; implies --gdb."
)
def command(
    scenario: str | None,
    kernels: options.Kernels,
    guests: options.Guests,
    left: str | None,
    only_disk: bool,
    debug: bool,
    commands: tuple[str, ...],
) -> None:
    """Open a shell in a guest of SCENARIO (at its last state unless --at says another); Ctrl-] leaves.

    \b
    lab shell ext4-unlinked                                   the tip of the series, an empty ext4 on /mnt
    lab shell --from last/with/orphan_comes_back              that case's guest, as it was when the case failed
    lab shell --from last/with/orphan_comes_back --disk       the disk it left, in a fresh guest
    """
    if left and not only_disk:
        sys.exit(_reopen(left, debug or bool(commands), commands))
    if debug or commands:
        raise UserError("--gdb is for the guest of a case: --from RUN/STATE/CASE")
    if not sys.stdin.isatty():
        raise UserError("a shell needs a terminal", hint="run it from one; `lab run` takes cases without")
    place = options.place()
    if left:
        _open_disk(place, left, kernels.config, guests)
    elif scenario:
        _open(place, _one(place, scenario, kernels.request), options.wishes(kernels.config, guests), None)
    else:
        raise UserError("a shell of what?", hint="lab shell SCENARIO, or lab shell --from RUN/STATE/CASE")


def _open(place: Place, job: Job, wishes: Wishes, disk: Path | None) -> None:
    from harness.kernel.build import build
    from harness.runner import prepare, shell

    state = job.states[-1]
    with RunScreen() as screen, tempfile.TemporaryDirectory(prefix="lab-shell.") as scratch:
        kernel = build(prepare.kernel_request(place, job, state, wishes), place.cache, screen.step)
        screen.built(state, kernel)
        ready = prepare.pack(place, job, state, kernel, wishes, Path(scratch))
        ready = prepare.boot(ready, place.cache, Path(scratch), screen.step)
        screen.clear()
        click.echo(f"cases are in /cases/{job.scenario.suite}, {LEAVE}")
        with shell.guest(ready, disk) as machine:
            machine.shell()
    click.echo()


def _one(place: Place, scenario: str, request: Request) -> Job:
    planned = plan(place.catalogue, select(place.catalogue, [scenario]), request)
    if len(planned) != 1:
        raise UserError(f"{scenario!r} is {len(planned)} scenarios; a shell is of one")
    return planned[0]


def _open_disk(place: Place, text: str, config: tuple[str, ...], guests: options.Guests) -> None:
    """The disk of ``RUN/STATE/CASE`` in a guest that has not mounted another: that one boots from power-on."""
    from dataclasses import replace

    from harness.cli.case import find
    from harness.results.model import DISK

    entry, state, folder = find(place.workspace.runs, text)
    if entry.manifest is None or not (folder / DISK).is_file():
        raise UserError(f"{text} kept no disk", hint="only cases that were not as expected leave one")
    ran = next((kernel for kernel in entry.manifest.kernels if kernel.state == state), None)
    job = _one(place, entry.manifest.scenario, Request(base=ran.base or None if ran else None, at=(state,)))
    wishes = options.wishes(config or (ran.config if ran else ()), guests)
    _open(place, job, replace(wishes, cold=True), folder / DISK)


def _reopen(text: str, debug: bool, commands: tuple[str, ...]) -> int:
    """The kept guest of ``RUN/STATE/CASE``: its shell, or gdb on it."""
    from harness.cli import debugger
    from harness.cli.case import find
    from harness.paths import find_workspace
    from harness.runner import kept

    _, _, folder = find(find_workspace().runs, text)
    facts = kept.load(folder)
    if facts is None:
        raise UserError(f"the guest of {text} was not kept", hint=_why_not(folder))
    if not debug and not facts.answers:
        raise UserError(f"this guest is kept as it was, and cannot open a shell: {facts.ended}", hint="--gdb, --disk")
    with tempfile.TemporaryDirectory(prefix="lab-shell.") as name:
        scratch = Path(name)
        with kept.reopened(folder, scratch, debugger.listener(scratch / "gdb") if debug else None) as machine:
            if debug:
                return debugger.run(Path(facts.symbols), scratch / "gdb", commands)
            click.echo(f"as it was when the case failed; {LEAVE}")
            machine.shell()
    click.echo()
    return 0


def _why_not(folder: Path) -> str:
    from harness.results.model import DISK
    from harness.runner import kept

    if (folder / DISK).is_file():
        return f"its disk was: --disk   (a run keeps {kept.MOST} guests; those in phases and exact ones are not kept)"
    return "only cases that were not as expected leave one"
