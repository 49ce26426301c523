"""lab init: a new workspace for somebody's own series, or the CI files of one that is there."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import click

from harness import process
from harness.errors import UserError
from harness.init import contents
from harness.init.write import write
from harness.paths import Workspace, is_workspace, own_command, shipped_root
from harness.results import facts


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("patches", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", default="", metavar="NAME", help="Of the series (default: the folder's name).")
@click.option("--base", default="", metavar="NAME", help="The base it is for (default: the newest that ships).")
@click.option("--git", "tree", default="", metavar="TREE[@REF]", help="A local git tree as the base, instead.")
@click.option("--ci", multiple=True, type=click.Choice(list(contents.CI)), help="Also the files of this CI.")
@click.option("--lab", "origin", default="", metavar="URL", help="Where that CI clones the lab from.")
def command(
    folder: Path, patches: tuple[Path, ...], name: str, base: str, tree: str, ci: tuple[str, ...], origin: str
) -> None:
    """Make a workspace in FOLDER for a series of your own; its `lab run` works at once.

    \b
    lab init names                                  an example: a sysctl, two patches, seven cases
    lab init mine 0001-*.patch 0002-*.patch         your patches, and a suite to begin with
    lab init mine *.patch --git ~/linux@v6.12.9     on a tree of your own
    lab init . --ci github                          the CI files of a workspace that is there

    Nothing that is there is overwritten: what is in the way is named, and nothing is written.
    """
    folder = folder.absolute()
    there = is_workspace(folder)
    if there and not ci:
        raise UserError(f"{folder} is a workspace already", hint="--ci adds the files of a CI to it")
    new = {} if there else _workspace(folder, patches, name, base, tree)
    found = _series(folder, new)
    for kind in ci:
        command = os.fspath(Path(shutil.which(own_command()) or own_command()).absolute())
        new |= contents.ci(kind, folder, lab=origin or _origin(), command=shlex.quote(command), series=found)
    write(folder, new)
    _say(folder, new, there)


def _workspace(folder: Path, patches: tuple[Path, ...], name: str, base: str, tree: str) -> dict[str, bytes]:
    if not patches:
        if name or base or tree:
            raise UserError("--name, --base and --git are about patches of yours, and none is named")
        return contents.example()
    where, _, ref = tree.partition("@")
    name = name or folder.name
    if where and not Path(where).expanduser().is_dir():
        raise UserError(f"there is no git tree {where}")
    chosen = base or (f"{name}-tree" if where else _newest())
    if not where:
        _known_base(folder, chosen)
    files = {path.name: path.read_bytes() for path in patches}
    if len(files) < len(patches):
        raise UserError("two patches have the same file name")
    place = os.fspath(Path(where).expanduser().resolve()) if where else ""
    return contents.workspace(contents.Series(name, chosen, files, place, ref or "HEAD"))


def _newest() -> str:
    from harness.plan import newest

    return newest(_bases(shipped_root()))


def _bases(folder: Path) -> list[str]:
    from harness.catalogue.load import load

    return list(load(Workspace(folder)).bases)


def _known_base(folder: Path, name: str) -> None:
    known = _bases(folder)
    if name not in known:
        raise UserError(f"there is no base {name!r}", hint=f"known: {', '.join(known)}; or --git TREE")


def _series(folder: Path, new: dict[str, bytes]) -> str:
    """The name of the workspace's first series."""
    names = [Path(name).parent.name for name in new if name.endswith("/series.toml")]
    names += sorted(path.parent.name for path in folder.glob("kernel-patches/*/series.toml"))
    if not names:
        raise UserError(f"{folder} has no series to run")
    return names[0]


def _origin() -> str:
    """Where this lab was cloned from, when it was and others can reach it."""
    asked = process.run([*facts.GIT, "-C", str(shipped_root()), "remote", "get-url", "origin"], check=False)
    url = asked.stdout.strip()
    return url if asked.ok and ("://" in url or url.startswith("git@")) else ""


def _say(folder: Path, new: dict[str, bytes], there: bool) -> None:
    for name in sorted(new):
        click.echo(f"  {name}")
    if there:
        return
    scenario = next(Path(name).parent.name for name in new if name.endswith("/suite.toml"))
    own = own_command()
    if folder != Path.cwd():
        click.echo(f"\ncd {shlex.quote(os.fspath(folder))}")
        own = os.fspath(Path(own).absolute()) if "/" in own else own
    click.echo(f"{shlex.quote(own)} run ext4-{scenario}")
