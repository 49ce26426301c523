"""From a case's outcomes in one night to what is said of it in the morning. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.catalogue.model import Known
from harness.history.rows import Point
from harness.history.trend import excused
from harness.verdict.rate import Rate


class Word(StrEnum):
    """What a case was in one night."""

    FAILED = "failed"  # every time
    FLAKY = "flaky"  # at least once, not every time
    KNOWN = "known"  # it failed, and all of it are complaints that are declared as known
    MET = "met"
    FREE = "free"  # nothing was promised


@dataclass(frozen=True)
class Judged:
    """A case in one lane in one night: its first outcome and those of the times it was run again."""

    points: tuple[Point, ...]
    word: Word

    @property
    def first(self) -> Point:
        """The outcome to show: the first that was not met, else the first."""
        return next((point for point in self.points if point.met is False), self.points[0])

    @property
    def rate(self) -> Rate:
        return Rate(sum(point.met is False for point in self.points), len(self.points))


def judge_night(points: Iterable[Point], known: Mapping[str, Known], today: datetime.date) -> tuple[Judged, ...]:
    """All cases of a night, worst first, then as they were run.

    An attempt that was told twice (a host that died after its result was on its way) counts once: the last told.
    """
    cases: dict[tuple[int, str], dict[tuple[str, int], Point]] = {}
    for point in points:
        cases.setdefault((point.lane.id, point.case), {})[point.job, point.attempt] = point
    judged = [_judge(tuple(each.values()), known, today) for each in cases.values()]
    order = list(Word)
    return tuple(sorted(judged, key=lambda each: order.index(each.word)))


def _judge(points: tuple[Point, ...], known: Mapping[str, Known], today: datetime.date) -> Judged:
    promised = [point for point in points if point.met is not None]
    bad = [point for point in promised if not point.met]
    if not promised:
        word = Word.FREE
    elif not bad:
        word = Word.MET
    elif all(excused(point, known, today) for point in bad):
        word = Word.KNOWN
    else:
        word = Word.FAILED if len(bad) == len(promised) else Word.FLAKY
    return Judged(points, word)
