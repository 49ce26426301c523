"""What is given to whoever runs it, and what comes back: plain values that also travel between machines."""

from __future__ import annotations

import msgspec


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one cell. ``attempt`` 0 is all of it; later ones run again what failed. Names only: whoever runs it
    has the workspace."""

    nightly: str
    job: str  # the cell's id
    scenario: str
    base: str
    config: str
    accelerator: str
    states: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()  # none: all
    attempt: int = 0
    cold: bool = False
    environment: tuple[str, ...] = ()
    company: tuple[str, ...] = ()  # suites that its guests are shared with

    @property
    def name(self) -> str:
        """Unique in a nightly."""
        return f"{self.job} @{self.attempt}"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an errand, or of a build. ``error`` says why there is no run, ``code`` is its exit status."""

    name: str
    errand: Errand | None = None  # None: a build
    run: str = ""  # the run folder's name
    unmet: tuple[tuple[str, str], ...] = ()  # state and case of what was not as promised
    error: str = ""
    whose: str = ""
    code: int = 0
    host: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not self.error
