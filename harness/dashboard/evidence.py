"""What a case left, read from its run's folder while that is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.results import files
from harness.results.model import CaseResult
from harness.results.run import CONSOLE, KTAP, OUTCOME, RECORD
from harness.results.text import plain
from harness.verdict.judge import CaseRecord

SHOWN = 120
"""Lines of a console, of a program's output and of a checker's that a page shows: the folder has the rest."""
FILES = (CONSOLE, KTAP, RECORD, "disk.img", "replay.log")


@dataclass(frozen=True)
class Evidence:
    """The story of one outcome. Texts are cut to ``SHOWN`` lines; ``files`` are what the folder has, with addresses."""

    message: str
    splats: tuple[tuple[str, str], ...]  # title, excerpt
    console: str
    output: str
    check: str
    files: tuple[tuple[str, str], ...]


def of_case(run: Path, where: str, address: str) -> Evidence | None:
    """The evidence below ``run``/``where``; ``address`` is that folder as the page sees it, or empty.

    None when the folder is gone or holds nothing that can be read.
    """
    folder = run / where
    try:
        outcome = msgspec.json.decode((folder / OUTCOME).read_bytes(), type=CaseResult).outcome
    except (OSError, msgspec.MsgspecError):
        return None
    return Evidence(
        outcome.message,
        tuple((splat.title, plain("\n".join(splat.excerpt))) for splat in outcome.splats),
        _tail(files.read_text(folder / CONSOLE)),
        _tail(files.read_text(folder / KTAP)),
        _check(folder / RECORD),
        tuple((name, f"{address}/{name}") for name in FILES if address and (folder / name).exists()),
    )


def _check(path: Path) -> str:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=CaseRecord)
    except (OSError, msgspec.MsgspecError):
        return ""
    return _tail(record.check.output) if record.check and record.check.exit else ""


def _tail(text: str) -> str:
    lines = plain(text).splitlines()
    cut = [f"... {len(lines) - SHOWN} lines before"] if len(lines) > SHOWN else []
    return "\n".join((*cut, *lines[-SHOWN:]))
