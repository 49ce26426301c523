"""What a case's outcomes over time amount to. Pure.

for track in tracks(points): track.standing, track.last_good, track.first_bad, track.rate
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.catalogue.model import Known
from harness.history.rows import Complaint, Lane, Point
from harness.verdict.rate import Rate


class Standing(StrEnum):
    """What a case in a lane is, for people."""

    REGRESSION = "regression"  # passed before, fails now, and failed again
    SUSPECT = "suspect"  # passed before, failed once; not run again yet
    FLAKY = "flaky"  # the same kernel both passed and failed it, in turns
    FAILING = "failing"  # never did what was promised
    FIXED = "fixed"  # failed, and passes now
    STEADY = "steady"
    FREE = "free"  # nothing is promised


@dataclass(frozen=True)
class Track:
    """One case under one set of conditions, over time, oldest first."""

    lane: Lane
    case: str
    points: tuple[Point, ...]

    @property
    def last(self) -> Point:
        return self.points[-1]

    @property
    def failing(self) -> tuple[Point, ...]:
        """The failures at the end that nothing interrupts."""
        count = 0
        while count < len(self.points) and self.points[-1 - count].met is False:
            count += 1
        return self.points[len(self.points) - count :]

    @property
    def last_good(self) -> Point | None:
        """The last outcome that was as promised before the failures at the end."""
        before = self.points[: len(self.points) - len(self.failing)]
        return next((point for point in reversed(before) if point.met), None)

    @property
    def first_bad(self) -> Point | None:
        return self.failing[0] if self.failing else None

    @property
    def rate(self) -> Rate:
        """Failures among the outcomes with the newest kernel."""
        own = [point for point in self.points if point.kernel == self.last.kernel]
        return Rate(sum(point.met is False for point in own), len(own))

    @property
    def standing(self) -> Standing:
        judged = [point for point in self.points if point.met is not None]
        if not judged:
            return Standing.FREE
        if self._in_turns():
            return Standing.FLAKY
        if self.failing:
            if self.last_good is None:
                return Standing.FAILING
            return Standing.REGRESSION if len(self.failing) > 1 else Standing.SUSPECT
        return Standing.FIXED if any(point.met is False for point in judged) else Standing.STEADY

    def _in_turns(self) -> bool:
        """Whether the newest kernel passed the case after it had failed it."""
        own = [point.met for point in self.points if point.kernel == self.last.kernel]
        return False in own and True in own[own.index(False) :]


def tracks(points: Iterable[Point]) -> tuple[Track, ...]:
    """The points by case and lane, in the order in which those appeared."""
    found: dict[tuple[int, str], list[Point]] = {}
    for point in points:
        found.setdefault((point.lane.id, point.case), []).append(point)
    return tuple(Track(each[0].lane, each[0].case, tuple(each)) for each in found.values())


def is_known(complaint: Complaint, known: Mapping[str, Known], today: datetime.date) -> bool:
    """Whether a complaint is declared as known and the declaration has not expired."""
    declared = known.get(complaint.fingerprint)
    return declared is not None and today <= declared.expires


def excused(point: Point, known: Mapping[str, Known], today: datetime.date) -> bool:
    """Whether all that went wrong with a case are complaints that are known."""
    about_splats = point.kind in ("splat", "oops", "panic", "hang")
    return about_splats and bool(point.complaints) and all(is_known(each, known, today) for each in point.complaints)


def since(found: Sequence[Track], moment: str) -> tuple[Track, ...]:
    """The tracks that go wrong since ``moment`` (UTC, ISO 8601): their first failure in a row is not older."""
    return tuple(track for track in found if track.first_bad is not None and track.first_bad.started >= moment)
