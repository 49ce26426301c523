"""The command line: one module a verb, imported when it is called. Parses, calls, prints; no logic."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from types import FrameType

import click

from harness import __version__
from harness.errors import InfraError, LabError

VERBS = {
    "run": "run scenarios: each case without the series and with it",
    "list": "show what can be asked for",
    "build": "build the kernels of a base and a series, and run nothing",
    "cost": "count what calls cost, in each state or over a parameter",
    "replay": "run a recorded case again, instruction for instruction",
    "series": "whether each patch of a series applies, builds, boots and adds no complaint",
    "review": "a posted series, from its mails to evidence: each patch, each case at each patch",
    "b4-check": "what is known of one mail, as b4 review asks for it",
    "shell": "a shell in a guest, with the filesystem mounted and the cases in place",
    "tool": "read what a series makes, on the host",
    "results": "list, show and judge again what was run",
    "nightly": "the whole matrix once, failures again, and what is new in the morning",
    "worker": "offer this host to the nights of a scheduler",
    "history": "what became of a case over time",
    "compare": "two runs side by side",
    "regressions": "what passed before, fails now, and failed again",
    "cache": "what the cache holds, and how to make it smaller",
    "dashboard": "the history as a static site: matrix, trends, what goes wrong",
    "init": "make a workspace for a series of your own",
    "doctor": "what this machine has and lacks, and which accelerator really works",
    "test": "test the harness itself",
}


class Verbs(click.Group):
    """Sub-commands by name; a verb's module (and what it imports) is loaded only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"harness.cli.{cmd_name.replace('-', '_')}_verb")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            from harness.catalogue.load import nearest

            near = nearest(args[0], VERBS)
            if near is None:
                raise
            raise click.UsageError(f"{exc.message} Did you mean '{near}'?", exc.ctx) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-v", "--verbose", count=True, help="Say more: once for steps, twice for everything.")
@click.version_option(__version__, message="lab %(version)s")
def lab(verbose: int) -> None:
    """What does a kernel patch series change? Each case red without it, green with it, in a fresh guest."""
    from harness import log

    log.set_up(verbose)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and exit: 0 as expected, 1 not, 2 user, 3 build, 4 infrastructure, 130 interrupted."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    try:
        sys.exit(lab(prog_name="lab", standalone_mode=False))
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        _stop_everything()
        click.echo("\nlab: interrupted; nothing is left running", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except LabError as exc:
        _report(exc)
        sys.exit(exc.exit_code)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _report(
            InfraError(f"the disk is full: {exc.filename or 'while writing'}", hint="make room there and run it again")
        )
        sys.exit(InfraError.exit_code)


def _stop_everything() -> None:
    from harness import process

    process.kill_all()


def _report(exc: LabError) -> None:
    from harness.errors import BuildError
    from harness.results.text import plain  # what a compiler, a mail or QEMU said may steer a terminal

    click.echo(f"lab: {click.style(exc.whose + ':', fg='red', bold=True)} {plain(exc.message)}", err=True)
    if isinstance(exc, BuildError) and exc.first_error:
        click.echo("\n" + "\n".join(f"    {line}" for line in plain(exc.first_error).splitlines()) + "\n", err=True)
    if exc.hint:
        click.echo(f"     {plain(exc.hint)}", err=True)
    if exc.log:
        click.echo(f"     the whole log: {exc.log}", err=True)
