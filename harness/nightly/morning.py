"""What is told in the morning, as a value: made of the night's reports and the memory. Pure but for the questions."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.catalogue.model import Known
from harness.history import query
from harness.history.rows import Point, RunRow
from harness.history.store import History
from harness.history.trend import Standing, Track, is_known, tracks
from harness.nightly.book import LeftOut, Plan
from harness.nightly.verdict import Judged, Word, judge_night
from harness.nightly.work import Report

GREEN, UNMET = 0, 1


@dataclass(frozen=True)
class Complaint:
    """A splat with what is known of it."""

    title: str
    fingerprint: str
    news: str


@dataclass(frozen=True)
class Story:
    """A case that somebody has to hear about."""

    judged: Judged
    standing: Standing
    last_good: Point | None
    complaints: tuple[Complaint, ...]

    @property
    def point(self) -> Point:
        return self.judged.first

    @property
    def name(self) -> str:
        return f"{self.point.lane.scenario}/{self.point.case}"

    @property
    def reproduce(self) -> str:
        """The command that runs it again."""
        lane = self.point.lane
        words = ["lab", "run", self.name, "--at", lane.state, "--base", lane.base]
        words += [word for fragment in lane.config.split() for word in ("--config", fragment)]
        words += [word for pair in lane.profile.split() for word in ("--env", pair)]
        return " ".join(words)

    @property
    def said(self) -> str:
        """The first lines of its message."""
        return "\n".join(line for line in self.point.message.splitlines() if line.strip())[:1200]


@dataclass(frozen=True)
class Row:
    """A cell of the matrix."""

    cell: str
    counts: Mapping[str, int]
    seconds: float
    hosts: tuple[str, ...]
    error: str = ""

    @property
    def word(self) -> str:
        """The worst that happened to it."""
        if self.error:
            return "not run"
        return next((word.value for word in Word if self.counts.get(word.value)), "empty")


@dataclass(frozen=True)
class Found:
    """A bisect's answer."""

    what: str
    culprit: str
    subject: str
    over: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Morning:
    """All that is told of a night."""

    plan: Plan
    status: str
    finished: str
    seconds: float
    rows: tuple[Row, ...]
    stories: tuple[Story, ...]
    not_run: tuple[Report, ...]
    judged: tuple[Judged, ...]
    conditions: tuple[str, ...]
    bisects: tuple[Found, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Cases by what they were."""
        found = Counter(each.word.value for each in self.judged)
        return {word.value: found[word.value] for word in Word if found[word.value]}

    @property
    def regressions(self) -> tuple[Story, ...]:
        return tuple(each for each in self.stories if each.standing is Standing.REGRESSION)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        return self.plan.left_out

    @property
    def code(self) -> int:
        """Exit status: 0 as expected (known complaints included), 1 a case failed, was flaky or was not run; else the
        worst of what kept cells from being run: 2 request, 3 build, 4 infrastructure."""
        bad = any(each.word in (Word.FAILED, Word.FLAKY) for each in self.judged)
        codes = [report.code for report in self.not_run]
        if self.status != "done":
            codes.append(UNMET)
        return max([UNMET if bad else GREEN, *codes])

    @property
    def headline(self) -> str:
        """One line, fit for a mail's subject."""
        if self.code == GREEN:
            known = f", {self.counts['known']} known" if "known" in self.counts else ""
            return f"as expected: {sum(self.counts.values())} cases in {len(self.rows)} cells{known}"
        told = [f"{len(self.regressions)} regressions"] if self.regressions else []
        told += [f"{self.counts[word]} {word}" for word in ("failed", "flaky") if word in self.counts]
        told += [f"{len({each.name for each in self.not_run})} jobs not run"] if self.not_run else []
        return ", ".join(told or [f"{self.status} before its end"])


def morning(
    plan: Plan, reports: Sequence[Report], history: History, known: Mapping[str, Known], *,
    status: str, finished: str, seconds: float, today: datetime.date, remarks: Sequence[str] = (),
    bisects: Sequence[Found] = (),
) -> Morning:  # fmt: skip
    """The value of a night, from what is remembered of it."""
    judged = judge_night(query.points(history, nightly=plan.name), known, today)
    wrong = [each for each in judged if each.word in (Word.FAILED, Word.FLAKY, Word.KNOWN)]
    stories = tuple(_story(history, each, known, today) for each in wrong)
    runs = query.runs(history, nightly=plan.name)
    return Morning(
        plan=plan, status=status, finished=finished, seconds=seconds, judged=judged, stories=stories,
        rows=tuple(_row(cell, judged, reports, runs) for cell in plan.cells),
        not_run=tuple(report for report in reports if report.error and report.errand is not None),
        conditions=(*remarks, *conditions(runs)), bisects=tuple(bisects),
    )  # fmt: skip


def _story(history: History, judged: Judged, known: Mapping[str, Known], today: datetime.date) -> Story:
    track = track_of(history, judged.first)
    first = query.first_seen(history, [each.fingerprint for each in judged.first.complaints])
    complaints = tuple(
        Complaint(
            each.title, each.fingerprint, _news(each.fingerprint, first, known, is_known(each, known, today), judged)
        )
        for each in judged.first.complaints
    )
    return Story(judged, track.standing, track.last_good, complaints)


def track_of(history: History, point: Point) -> Track:
    """A point's case in its lane over all that is remembered."""
    points = query.points(history, scenario=point.lane.scenario, case=point.case, details=False)
    return next(track for track in tracks(points) if track.lane.id == point.lane.id)


def _news(fingerprint: str, first: Mapping[str, str], known: Mapping[str, Known], is_it: bool, judged: Judged) -> str:
    declared = known.get(fingerprint)
    if declared and is_it:
        return f"known until {declared.expires}: {declared.reason}"
    if declared:
        return f"its declaration expired on {declared.expires}: {declared.reason}"
    seen = first.get(fingerprint, "")
    return f"seen since {seen}" if seen and seen < judged.points[0].started else "new"


def _row(cell: str, judged: Sequence[Judged], reports: Sequence[Report], runs: Sequence[RunRow]) -> Row:
    own = [report for report in reports if report.errand and report.errand.job == cell]
    # Repetitions of a cell, and what turns out to be the same accelerator, are one lane.
    counts = Counter(each.word.value for each in judged if any(point.job == cell for point in each.points))
    error = next((report.error for report in own if report.error), "")
    hosts = dict.fromkeys(run.host for run in runs if run.job == cell)
    return Row(
        cell, counts, sum(report.seconds for report in own), tuple(hosts), error.splitlines()[0] if error else ""
    )


def conditions(runs: Sequence[RunRow]) -> list[str]:
    """In words, where one night had several: hosts that do not have the QEMU, accelerator or compiler of the most."""
    told = []
    for name in ("accel", "qemu", "compiler"):
        by_value: dict[str, set[str]] = {}
        for run in runs:
            by_value.setdefault(getattr(run, name), set()).add(run.host)
        most = max(by_value, key=lambda value: len(by_value[value]), default="")
        told += [
            f"{', '.join(sorted(hosts))}: {name} is {value or 'unknown'}; the others' is {most or 'unknown'}"
            for value, hosts in by_value.items()
            if value != most
        ]
    return told
