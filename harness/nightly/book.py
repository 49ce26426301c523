"""A night's folder: the plan before it begins, a line for each report, the summary last.

results/nightly/20261125T023000Z/
    plan.json        what was planned, and of which workspace
    reports.jsonl    a line for everything that came to its end: what --resume goes on from
    night.json       last: what became of it
    summary.txt  summary.html  junit.xml
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from harness.cache import digest
from harness.errors import InfraError, UserError
from harness.nightly.work import Report
from harness.paths import Workspace
from harness.results import facts, files
from harness.results.run import now, stamp, to_json

PLAN, REPORTS, NIGHT, LOCK = "plan.json", "reports.jsonl", "night.json", ".lock"
VERSION = 1


class LeftOut(msgspec.Struct, frozen=True):
    """A cell that is not run, and why."""

    cell: str
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """plan.json. ``content`` is a key of the workspace as it was: a night is not gone on with on other files."""

    name: str
    title: str
    started: str
    cells: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    again: int = 2
    environment: tuple[str, ...] = ()
    budget: int = 0
    where: str = "this machine"
    seconds: float = 0.0  # as estimated
    commit: str = ""
    content: str = ""
    version: int = VERSION


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """night.json. ``counts`` are cases by what they were (failed, flaky, known, met, free)."""

    name: str
    status: str  # done, killed
    started: str
    finished: str
    seconds: float
    code: int
    counts: dict[str, int]
    reports: int
    version: int = VERSION


def content_of(workspace: Workspace) -> tuple[str, str]:
    """Commit and key of the workspace's content; empty where it is not a git tree."""
    state = facts.git_state(workspace.root)
    if state is None:
        return "", ""
    others = [line for line in state.changed if line.startswith("??")]
    return state.commit, digest(state.commit, facts.git_diff(workspace.root), *others)


class Book:
    """A night's folder, open for writing. One lab at a time: it holds a lock, which ends with it however it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with files.told(folder):
            self._lock = (folder / LOCK).open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                self._lock.close()
                raise UserError(f"the night {folder.name} is being run by another lab") from exc

    @classmethod
    def begin(cls, workspace: Workspace) -> Book:
        """A new folder, named by the time.

        Raises InfraError when the host cannot.
        """
        base = now().strftime("%Y%m%dT%H%M%SZ")
        root = nights(workspace)
        with files.told(root):
            root.mkdir(parents=True, exist_ok=True)
            number = 1
            while True:
                path = root / (base if number == 1 else f"{base}-{number}")
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    return cls(path)
                number += 1

    @property
    def name(self) -> str:
        return self.folder.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def write_plan(self, plan: Plan) -> None:
        files.write(self.folder / PLAN, to_json(plan), durable=True)

    def plan(self) -> Plan:
        """Raises InfraError when it cannot be read."""
        try:
            return msgspec.json.decode((self.folder / PLAN).read_bytes(), type=Plan)
        except (OSError, msgspec.MsgspecError) as exc:
            raise InfraError(f"{self.folder / PLAN}: {exc}") from exc

    def note(self, report: Report) -> None:
        """One line more. In one write, so that a killed lab leaves whole lines but for the last."""
        with files.told(self.folder / REPORTS), (self.folder / REPORTS).open("ab", buffering=0) as stream:
            stream.write(msgspec.json.encode(report) + b"\n")
            os.fsync(stream.fileno())

    def reports(self) -> list[Report]:
        """What was noted; a last line that a killed lab left half is not."""
        found = []
        for line in files.read_text(self.folder / REPORTS).splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line, type=Report))
        return found

    def end(self, ended: Ended, texts: dict[str, str]) -> None:
        for name, text in texts.items():
            files.write(self.folder / name, files.encode(text))
        files.write(self.folder / NIGHT, to_json(ended), durable=True)


def nights(workspace: Workspace) -> Path:
    return workspace.runs.parent / "nightly"


def unfinished(workspace: Workspace, name: str = "") -> Book:
    """The night to go on with: the newest that has a plan and did not end, or the one that is named.

    Raises UserError when there is none.
    """
    found = [path.parent for path in sorted(nights(workspace).glob(f"*/{PLAN}"), reverse=True)]
    open_ = [path for path in found if _is_open(path)]
    if name:
        open_ = [path for path in open_ if path.name == name]
    if not open_:
        last = f"the last one, {found[0].name}, came to its end" if found else "none was begun"
        raise UserError(f"there is no night {name or 'that was stopped'}: {last}")
    return Book(open_[0])


def _is_open(path: Path) -> bool:
    try:
        return msgspec.json.decode((path / NIGHT).read_bytes(), type=Ended).status != "done"
    except (OSError, msgspec.MsgspecError):
        return True


def same_content(plan: Plan, workspace: Workspace) -> None:
    """Raises UserError when the workspace is not what the night was begun on."""
    _, content = content_of(workspace)
    if plan.content != content:
        raise UserError(
            f"the workspace changed since {plan.name} began at {stamp(now()) if not plan.started else plan.started}",
            hint="its verdicts would be of two kinds of things: begin a new night",
        )
