"""lab list: the catalogue, on one screen."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import click

from harness.catalogue.load import load, requirements, select
from harness.catalogue.model import Case, Catalogue, Scenario
from harness.cli.screen import hanging
from harness.paths import find_workspace


@click.command("list")
@click.argument("patterns", nargs=-1)
@click.option("--docs", is_flag=True, help="What was asked and which cases answer it: the text of docs/cases.md.")
def command(patterns: tuple[str, ...], docs: bool) -> None:
    """Show suites, series, bases, filesystems, fragments; with a PATTERN, the cases of the scenarios that match."""
    workspace = find_workspace()
    catalogue = load(workspace)
    if docs:
        from harness.results import coverage, published

        folder = workspace.published
        click.echo(coverage.page(catalogue, published.read(folder), published.read_others(folder)), nl=False)
    elif patterns:
        _cases(catalogue, select(catalogue, patterns))
    else:
        _everything(catalogue)


def _heading(title: str) -> None:
    click.secho(title, bold=True)


def _rows(rows: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        click.echo(hanging(f"  {name:<{width}}  ", text))
    click.echo()


def _everything(catalogue: Catalogue) -> None:
    _heading("suites                           lab run FILESYSTEM-SUITE, lab list FILESYSTEM-SUITE for its cases")
    width = max(map(len, catalogue.suites), default=0)
    for name in sorted(catalogue.suites):
        click.echo(hanging(f"  {name:<{width}}  {_size_line(catalogue, name)}", _suite_line(catalogue, name)))
    click.echo()
    _heading("series")
    _rows([(name, _series_line(catalogue, name)) for name in sorted(catalogue.series)])
    _heading("bases")
    _rows([(name, base.title) for name, base in catalogue.bases.items()])
    _heading("filesystems")
    _rows([(name, _filesystem_line(catalogue, name)) for name in catalogue.filesystems])
    _heading("images")
    _rows([(name, image.title) for name, image in catalogue.images.items()])
    _heading("config fragments                 lab run --config NAME")
    _rows([(name, _first_sentence(path.read_text())) for name, path in catalogue.fragments.items()])


def _size_line(catalogue: Catalogue, name: str) -> str:
    suite = catalogue.suites[name]
    cases = "case " if len(suite.cases) == 1 else "cases"
    return f"{len(suite.cases):3} {cases}  {suite.series or 'the base itself':18}  "


def _suite_line(catalogue: Catalogue, name: str) -> str:
    suite = catalogue.suites[name]
    return suite.title + (f"  (on {', '.join(suite.filesystems)})" if suite.filesystems else "")


def _filesystem_line(catalogue: Catalogue, name: str) -> str:
    filesystem = catalogue.filesystems[name]
    return filesystem.title + (f"  ({', '.join(filesystem.groups)})" if filesystem.groups else "")


def _series_line(catalogue: Catalogue, name: str) -> str:
    required = requirements(catalogue, name)
    after = f"  (after {', '.join(required)})" if required else ""
    return catalogue.series[name].title + after


def _first_sentence(text: str) -> str:
    """Of the comment that a fragment begins with."""
    comment = itertools.takewhile(lambda line: line.startswith("#") and not line.startswith("#:"), text.splitlines())
    words = " ".join(line.removeprefix("#").strip() for line in comment)
    return re.split(r"(?<=\.) (?=[A-Z])", words)[0]


def _cases(catalogue: Catalogue, chosen: dict[Scenario, tuple[str, ...]]) -> None:
    for scenario, cases in chosen.items():
        suite, names = catalogue.suites[scenario.suite], catalogue.names_of(scenario)
        _heading(f"{scenario.name}: {suite.title}")
        _rows([(case, _case_line(suite.cases[case], names)) for case in cases])


def _case_line(case: Case, names: Sequence[str]) -> str:
    why = case.why_not_on(names)
    return f"{case.title}  (not here: {why})" if why else case.title
