"""The schema of a run folder: what stands in manifest.json, result.json, outcome.json and record.json.

Every file carries ``version``; a reader refuses a newer one and keeps reading the older ones. Times are UTC in ISO
8601, durations seconds of the host. results/schema.json is these structs as JSON Schema (``harness.results.schema``).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from harness.catalogue.model import Expectation
from harness.verdict.judge import Outcome

VERSION = 1


class RunStatus(StrEnum):
    """How a run came to its end."""

    DONE = "done"
    KILLED = "killed"  # by the user: SIGINT, SIGTERM
    FAILED = "failed"  # by an error of the lab, the build or the host: ``error`` has it


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of what took part, and the host's name; empty for a tool that is not there."""

    lab: str = ""
    host: str = ""
    python: str = ""
    qemu: str = ""
    compiler: str = ""
    host_kernel: str = ""


class GitState(msgspec.Struct, frozen=True, kw_only=True):
    """The workspace's version. ``changed`` are lines of `git status --porcelain`; workspace.diff has the changes."""

    commit: str
    changed: tuple[str, ...] = ()


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """One state's kernel: its artefact key, what it is for people (``6.12.117 + checkpoint-core``).

    ``source`` is the base's commit; ``stack`` the series on it (``relink[1-3]`` for the first three patches);
    ``config`` the further fragments.
    """

    state: str
    key: str
    label: str
    release: str = ""
    base: str = ""
    source: str = ""
    stack: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


class Accel(msgspec.Struct, frozen=True, kw_only=True):
    """The accelerator, and why it was this one."""

    name: str
    reason: str = ""


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """Whether builds and QEMU ran in bubblewrap; ``reason`` when not."""

    used: bool
    reason: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json, written before the first boot: what was asked and with what.

    ``argv`` is the lab command (``("lab", "run", "ext4-unlinked")``); ``options`` whatever else decides (as text);
    ``qemu`` the QEMU command of each state.
    """

    scenario: str
    argv: tuple[str, ...]
    states: tuple[str, ...]
    cases: tuple[str, ...]
    created: str
    options: dict[str, str] = {}
    tools: Tools = Tools()
    workspace: GitState | None = None  # None: not a git tree
    kernels: tuple[Kernel, ...] = ()
    accel: Accel | None = None
    sandbox: Sandbox | None = None
    qemu: dict[str, tuple[str, ...]] = {}
    version: int = VERSION


DISK, GUEST, RECORDING = "disk.img", "guest.state", "replay.log"
"""What a case's folder may hold beside its logs; ``CaseResult.kept`` names what is there."""


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """outcome.json, and an entry of result.json: one case in one state.

    ``expected`` is None where nothing is promised (a patch in the middle); then ``met`` is None too. ``folder`` is
    relative to the run folder. ``kept`` are the files in it beside the logs: disks, a guest, a recording.
    """

    case: str
    state: str
    outcome: Outcome
    expected: Expectation | None = None
    met: bool | None = None
    folder: str = ""
    kept: tuple[str, ...] = ()
    version: int = VERSION


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """result.json, written last. ``planned`` counts cases times states: fewer in ``cases`` were never run."""

    status: RunStatus
    scenario: str
    started: str
    finished: str
    duration: float
    planned: int
    cases: tuple[CaseResult, ...] = ()
    error: str = ""
    version: int = VERSION

    @property
    def unexpected(self) -> tuple[CaseResult, ...]:
        """The results that are not what was wanted."""
        return tuple(case for case in self.cases if case.met is False)

    @property
    def as_expected(self) -> bool:
        """Whether the run may exit with 0: it came to its end, ran all it planned (something), all as expected."""
        whole = 0 < self.planned == len(self.cases)
        return self.status is RunStatus.DONE and whole and not self.unexpected
