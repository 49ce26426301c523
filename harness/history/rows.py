"""What is read of the database, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lane:
    """The conditions under which outcomes compare: only the kernel's content and the time differ within a lane."""

    id: int
    scenario: str
    state: str
    base: str
    stack: str
    config: str
    accel: str
    exact: bool
    profile: str

    @property
    def words(self) -> str:
        """``with, 6.12, kasan, tcg``"""
        return ", ".join(
            filter(None, (self.state, self.base, self.config, self.accel, "exact" if self.exact else "", self.profile))
        )


@dataclass(frozen=True)
class Complaint:
    """A splat, as far as it is stored."""

    fingerprint: str
    title: str
    kind: str
    times: int


@dataclass(frozen=True)
class Point:
    """One outcome of a case in time. ``met`` is None where nothing was promised; ``duration`` is in seconds."""

    id: int
    run: str
    folder: str  # the run's
    started: str
    nightly: str
    job: str
    attempt: int
    guests: str
    commit: str
    changed: bool
    host: str
    qemu: str
    lane: Lane
    case: str
    kernel: str  # its key
    label: str
    source: str
    status: str
    kind: str
    reason: str
    message: str
    met: bool | None
    wanted: str
    duration: float
    where: str  # the case's folder, below the run's
    complaints: tuple[Complaint, ...] = ()
    costs: tuple[tuple[str, int], ...] = ()

    @property
    def word(self) -> str:
        """``PASS``, ``FAIL (EBADF)``, ``FAIL splat (WARNING in foo)``"""
        kind = "" if self.kind in ("passed", "assertion", "skipped") else f" {self.kind}"
        return f"{self.status}{kind}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class RunRow:
    """A run, without its cases."""

    name: str
    folder: str
    scenario: str
    status: str
    as_expected: bool
    error: str
    started: str
    finished: str
    duration: float
    planned: int
    argv: str
    guests: str
    commit: str
    changed: bool
    nightly: str
    job: str
    attempt: int
    accel: str
    accel_reason: str
    qemu: str
    compiler: str
    host: str
    host_kernel: str
    python: str
    lab: str
    sandboxed: bool
