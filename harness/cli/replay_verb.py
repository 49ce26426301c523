"""lab replay: a recorded case again, instruction for instruction, up to where it went wrong."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import debugger
from harness.cli.case import find
from harness.cli.watch import RunScreen
from harness.errors import UserError
from harness.paths import find_workspace
from harness.progress import Step

if TYPE_CHECKING:
    from harness.runner.replay import Found, Place, Recording


@click.command("replay")
@click.argument("case", metavar="RUN/STATE/CASE")
@click.option("--at", type=click.IntRange(1), metavar="N", help="Stop at this instruction, counted from power-on.")
@click.option("--gdb", "debug", is_flag=True, help="Open gdb where the replay stops, with the kernel's symbols.")
@click.option(
    "-c", "--command", "commands", multiple=True, metavar="CMD", help="gdb runs these and ends; implies --gdb."
)
def command(case: str, at: int | None, debug: bool, commands: tuple[str, ...]) -> None:
    """Run a case that `lab run --record` kept: the same guest, the same instructions, the same end.

    \b
    lab replay last/with/orphan_comes_back             where did it go wrong, in instructions?
    lab replay last/with/orphan_comes_back --gdb       and look around there
    lab replay last/with/orphan_comes_back --gdb --at 399000000

    It stops when the first splat, or the failed assertion, is printed; where nothing was printed, at the end.
    """
    from harness.results import index
    from harness.runner import replay

    _, _, folder = find(find_workspace().runs, case)
    recording = replay.load(folder)
    place = replay.place_of(index.load_case(folder)[1].outcome)
    with RunScreen() as screen, tempfile.TemporaryDirectory(prefix="lab-replay.") as name:
        scratch = Path(name)
        if at is None:
            screen.step(Step("replaying", note="all of it"))
            total, seen = replay.measure(recording, folder, scratch, place)
            screen.line(f"replayed   {total:,} instructions from power-on to the end, as recorded")
            if place and not seen:
                raise UserError(f"{place.text!r} is in the record and was not printed again")
            at = seen or total
        else:
            place = None
        screen.step(Step("replaying", note=f"up to {at:,}"))
        if debug or commands:
            sys.exit(_debug(recording, folder, scratch, at, place, commands, screen))
        with replay.stopped(recording, folder, scratch, place, at) as (machine, found):
            screen.line(_where(found))
            for line in machine.log.path.read_text(errors="replace").splitlines()[-5:]:
                screen.line(f"    {line}")


def _debug(
    recording: Recording,
    folder: Path,
    scratch: Path,
    at: int,
    place: Place | None,
    commands: tuple[str, ...],
    screen: RunScreen,
) -> int:
    from harness.runner.rewind import Rewinder

    with Rewinder(recording, folder, scratch, at, place) as rewinder:
        screen.line(_where(rewinder.found))
        screen.line("in gdb     lab-goto ICOUNT and lab-reverse-stepi [N] go anywhere, backwards too; lab-where tells")
        screen.clear()
        return debugger.run(Path(recording.symbols), rewinder.gdb, commands, rewinder.control)


def _where(found: Found) -> str:
    if found.place is None:
        return f"stopped    at instruction {found.instructions:,}"
    where = "on the console" if found.place.on_console else "by the case"
    return (
        f"stopped    at instruction {found.instructions:,}, at most {found.within:,} behind what was printed {where}:\n"
        f"           {found.place.text}"
    )
