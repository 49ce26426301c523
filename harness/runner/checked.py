"""What is asked of a patch, what a series is, and what became of both. Values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import msgspec

from harness.catalogue.model import Catalogue, Rules
from harness.kernel.findings import Finding
from harness.kernel.request import Applied, KernelRequest, compose
from harness.kernel.series import Patch


class Check(StrEnum):
    """What a patch is held to, in the order in which it is looked at."""

    APPLY = "apply"  # on the base and the patches before it
    STYLE = "style"  # checkpatch --strict, of the base
    WARNINGS = "warnings"  # gcc and kernel-doc with W=1: nothing new
    SPARSE = "sparse"  # nothing new
    OFF = "off"  # with the series' option off, no code differs outside the touched lines
    BUILD = "build"  # the whole kernel compiles and links
    BOOT = "boot"  # a guest comes up, its console without complaint


class Outcome(StrEnum):
    """What became of a check."""

    GOOD = "good"
    RED = "red"
    NOT_DONE = "not done"  # what it stands on is red


class Result(msgspec.Struct, frozen=True):
    """One patch under one check.

    ``note`` is the first thing to know of a red one, several lines of text at most; ``log`` the path of the whole
    story, or ""; ``seconds`` what it took when it was done.
    """

    check: Check
    outcome: Outcome
    note: str = ""
    findings: tuple[Finding, ...] = ()
    log: str = ""
    seconds: float = 0.0

    @property
    def excused(self) -> int:
        """How many complaints the series explains."""
        return sum(1 for finding in self.findings if finding.excused)

    @property
    def open(self) -> tuple[Finding, ...]:
        """The complaints that nobody explains."""
        return tuple(finding for finding in self.findings if not finding.excused)


@dataclass(frozen=True)
class Walked:
    """A series to walk: its patches, and what they stand on. ``walk.declared`` and ``walk.from_files`` make it.

    ``below`` are the series it requires, applied whole; ``config`` is its own series.config, ``cover`` its letter.
    A ``quarantine`` keeps its builds apart from all others (harness.kernel.request).
    """

    name: str
    base: str
    patches: tuple[Patch, ...]
    below: tuple[Applied, ...] = ()
    config: Path | None = None
    cover: Path | None = None
    rules: Rules = field(default_factory=Rules)
    quarantine: str = ""

    def request(self, catalogue: Catalogue, stack: Sequence[Patch], fragments: Sequence[str] = ()) -> KernelRequest:
        """The kernel with ``stack`` on what the series requires: its first patches, or those that could be applied."""
        # The state before its first patch is nobody's: built where its Makefiles were, it could be anybody's.
        plain = compose(catalogue, self.base, fragments=fragments, quarantine=self.quarantine if stack else "")
        own = (Applied(self.name, tuple(stack), len(self.patches), self.config),) if stack else ()
        return replace(plain, applied=(*self.below, *own))


@dataclass(frozen=True)
class Row:
    """A patch, its results in the order of ``Check``, and the patches that its state is made of."""

    patch: Patch
    results: tuple[Result, ...]
    stack: tuple[Patch, ...]

    def of(self, check: Check) -> Result | None:
        """The result of one check, None when it was not asked for."""
        return next((result for result in self.results if result.check is check), None)

    @property
    def good(self) -> bool:
        return all(result.outcome is Outcome.GOOD for result in self.results)


@dataclass(frozen=True)
class Report:
    """A walk that came to its end. ``cover`` is what the cover letter was found to be, None when there is none or
    nobody asked; ``idle`` are excuses that no complaint needed.
    """

    series: Walked
    checks: tuple[Check, ...]
    rows: tuple[Row, ...]
    cover: Result | None = None
    idle: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        letter = self.cover is None or self.cover.outcome is Outcome.GOOD
        return letter and all(row.good for row in self.rows) and not self.idle
