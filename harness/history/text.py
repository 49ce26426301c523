"""The memory as people read it in a terminal."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from harness.catalogue.model import Known
from harness.history.compare import Pair
from harness.history.rows import Complaint, Point
from harness.history.trend import Standing, Track, is_known
from harness.results.text import plain

RECENT = 40
"""Outcomes drawn in a line."""
LAST = 10
"""Outcomes listed one by one where a single case was asked for."""
WRONG = {"FAIL": "F", "ERROR": "E", "MISS": "M", "SKIP": "S"}


def marks(points: Sequence[Point]) -> str:
    """The last outcomes, oldest first: a dot is as promised, a letter is not, a dash promised nothing."""
    return "".join(_mark(point) for point in points[-RECENT:])


def _mark(point: Point) -> str:
    if point.met is None:
        return "-"
    return "." if point.met else WRONG.get(point.status, "P")


def history(found: Sequence[Track]) -> Iterator[str]:
    """A block for each case; a single case also lists its last outcomes."""
    heads = list(dict.fromkeys((track.lane.scenario, track.case) for track in found))
    for head in heads:
        own = [track for track in found if (track.lane.scenario, track.case) == head]
        yield f"{head[0]}/{head[1]}"
        width = max(len(track.lane.words) for track in own)
        for track in own:
            yield f"  {track.lane.words:<{width}}  {_line(track)}"
            if len(heads) == 1:
                yield from (f"      {_point(point)}" for point in track.points[-LAST:])


def _line(track: Track) -> str:
    wrong = track.standing not in (Standing.STEADY, Standing.FREE)
    rate = f", {track.rate.words} on this kernel" if wrong else ""
    typical = median(point.duration for point in track.points)
    return f"{marks(track.points)}  {track.standing}{rate}; {len(track.points)} runs, typically {typical:.2f} s"


def _point(point: Point) -> str:
    commit = f"  commit {point.commit[:12]}" if point.commit else ""
    return plain(f"{point.started}  {point.word}  {point.duration:.2f} s  {_kernel(point)}{commit}  {point.run}")


def _kernel(point: Point) -> str:
    return f"{point.label} ({point.kernel[:6]})"


def compare(conditions: Sequence[tuple[str, str, str]], found: Sequence[Pair], names: tuple[str, str]) -> Iterator[str]:
    """What two runs have not in common, and how much they have."""
    yield f"{names[0]}  ->  {names[1]}"
    for what, before, after in conditions:
        yield plain(f"  {what}: {before or 'unknown'} -> {after or 'unknown'}")
    for pair in found:
        yield from _pair(pair)
    changed = sum(not pair.same_verdict for pair in found)
    yield f"{len(found) - changed} of {len(found)} verdicts are the same" if found else "neither run has a case"


def _pair(pair: Pair) -> Iterator[str]:
    name = f"{pair.case}, {pair.state}"
    if not pair.same_verdict:
        before, after = (each.word if each else "not run" for each in (pair.before, pair.after))
        yield plain(f"  {name}: {before} -> {after}{_wrong(pair.after)}")
    elif pair.slower and pair.before and pair.after:
        yield f"  {name}: {pair.before.duration:.1f} s -> {pair.after.duration:.1f} s"
    for cost, old, new in pair.costs:
        yield plain(
            f"  {name}: {cost} {old:,} -> {new:,} ({new / old:.3f} times)"
            if old
            else f"  {name}: {cost} {old} -> {new:,}"
        )


def _wrong(point: Point | None) -> str:
    return f", wanted {point.wanted}" if point and point.met is False else ""


def regression(
    track: Track, known: Mapping[str, Known], today: datetime.date, first: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A regression in lines: what, since when, on which kernels, and what the kernel said."""
    bad, good = track.first_bad, track.last_good
    if bad is None:
        return
    head = f"{track.lane.scenario}/{track.case}  ({track.lane.words})"
    yield plain(f"{head}: {track.standing}: {track.last.word}, wanted {bad.wanted}")
    if good:
        yield plain(f"    last good  {good.started}  {_kernel(good)} {_sources(good)}  {good.run}")
    yield plain(f"    first bad  {bad.started}  {_kernel(bad)} {_sources(bad)}  {bad.run}")
    yield f"    {marks(track.points)}  {track.rate.words} on this kernel"
    for complaint in track.last.complaints:
        news = _news(complaint, known, today, first or {})
        yield plain(f"    {complaint.title}  [{complaint.fingerprint}]  {news}")


def _sources(point: Point) -> str:
    return " ".join(
        filter(
            None, (f"base {point.source[:12]}" if point.source else "", point.commit and f"commit {point.commit[:12]}")
        )
    )


def _news(complaint: Complaint, known: Mapping[str, Known], today: datetime.date, first: Mapping[str, str]) -> str:
    declared = known.get(complaint.fingerprint)
    if declared and is_known(complaint, known, today):
        return f"known until {declared.expires}: {declared.reason}"
    if declared:
        return f"its declaration expired on {declared.expires}: {declared.reason}"
    return f"new, first seen {first[complaint.fingerprint]}" if complaint.fingerprint in first else "new"
