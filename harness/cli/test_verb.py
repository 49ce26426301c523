"""lab test: the harness tested, from linters to real guests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

TREE = Path(__file__).resolve().parents[2]


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.option("--quick", is_flag=True, help="Only what needs no kernel and no guest.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def command(quick: bool, pytest_arguments: tuple[str, ...]) -> None:
    """Run the tests: linters, unit tests, builds with the real make, real guests. Arguments go to pytest."""
    asked = any(word == "-m" or word.startswith("-m=") for word in pytest_arguments)
    selected = ["-m", "not vm and not build"] if quick else [] if asked else ["-m", "not mutants and not whole"]
    arguments = [sys.executable, "-m", "pytest", *selected, *pytest_arguments]
    os.chdir(TREE)
    os.execv(sys.executable, arguments)
