"""A case of an earlier run, as it is named on the command line."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError
from harness.results.index import Entry


def find(runs: Path, text: str) -> tuple[Entry, str, Path]:
    """Run, state and the case's folder of ``RUN/STATE/CASE``.

    Raises UserError when that is no such name, or when there is no such case.
    """
    from harness.results import index
    from harness.results.run import safe

    parts = text.rsplit("/", 2)
    if len(parts) != 3:
        raise UserError(f"{text}: that is not RUN/STATE/CASE", hint="for example last/with/orphan_comes_back")
    run, state, case = parts
    entry = index.find(runs, run)
    folder = entry.path / "cases" / safe(state) / safe(case)
    if not folder.is_dir():
        raise UserError(f"{entry.name} has no case {state}/{case}")
    return entry, state, folder
