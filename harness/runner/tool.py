"""Programs of testcases/tools on the host: readers of what a series makes, built with that series' own headers.

A series names them (``tools`` in series.toml). The source is the guest's: there is one reader of a format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import process
from harness.catalogue.load import nearest, requirements
from harness.catalogue.model import Catalogue
from harness.errors import UserError
from harness.guest import programs
from harness.kernel.build import build
from harness.kernel.request import compose
from harness.plan import Applied
from harness.progress import Progress
from harness.runner.prepare import Place

READING = 60.0
"""Seconds a tool may take."""


def tools(catalogue: Catalogue) -> dict[str, str]:
    """Every tool that runs on the host, and the series whose headers it is built with."""
    return {tool: name for name, series in sorted(catalogue.series.items()) for tool in series.tools}


def make(place: Place, name: str, base: str | None, tell: Progress) -> Path:
    """The tool's program, built with the headers of its series' last patch.

    Raises UserError when no series names it, and what building a kernel raises: its headers come from there.
    """
    known = tools(place.catalogue)
    if name not in known:
        near = nearest(name, known)
        told = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise UserError(f"no series has a tool {name!r} for the host", hint=told)
    series = known[name]
    stack = [Applied(other) for other in (*requirements(place.catalogue, series), series)]
    request = compose(
        place.catalogue,
        base or place.catalogue.series[series].bases[0],
        [(applied.series, applied.patches) for applied in stack],
    )
    kernel = build(request, place.cache, tell)
    source = place.workspace.find(f"testcases/tools/{name}.c")
    return programs.compile_program(source, place.cache, headers=kernel.headers, include=place.workspace.include)


def run(program: Path, arguments: Sequence[str]) -> process.Completed:
    """Run a tool on what may come from anywhere: confined, and able to read the files among its arguments.

    Raises InfraError when it cannot be run or does not end.
    """
    files = tuple(Path(word).resolve() for word in arguments if Path(word).is_file())
    words = [str(Path(word).resolve()) if Path(word).is_file() else word for word in arguments]
    box = process.Sandbox(readable=(program, *files))
    return process.run([str(program), *words], sandbox=box, timeout=READING, check=False)
