"""Two runs side by side. Pure, over what the database says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.history.rows import Point, RunRow

NOTICED = 1.5
"""How many times longer a case must take, and by how many seconds (``LEAST``), for it to be worth a line."""
LEAST = 1.0


@dataclass(frozen=True)
class Pair:
    """A case in one state, in the first run and in the second; None where it was not run."""

    case: str
    state: str
    before: Point | None
    after: Point | None

    @property
    def same_verdict(self) -> bool:
        return self.before is not None and self.after is not None and _verdict(self.before) == _verdict(self.after)

    @property
    def slower(self) -> bool:
        """Whether it took so much longer that somebody should know."""
        if self.before is None or self.after is None:
            return False
        return self.after.duration > max(self.before.duration * NOTICED, self.before.duration + LEAST)

    @property
    def costs(self) -> tuple[tuple[str, int, int], ...]:
        """Exact costs that differ: name, before, after. Only numbers that were counted compare."""
        if self.before is None or self.after is None or not (self.before.lane.exact and self.after.lane.exact):
            return ()
        old = dict(self.before.costs)
        return tuple((name, old[name], value) for name, value in self.after.costs if old.get(name, value) != value)


def _verdict(point: Point) -> tuple[str, str, str, bool | None]:
    return point.status, point.kind, point.reason, point.met


def pairs(before: Iterable[Point], after: Iterable[Point]) -> tuple[Pair, ...]:
    """The cases of both runs, those of the first in its order, then what only the second has."""
    old = {(point.lane.state, point.case): point for point in before}
    new = {(point.lane.state, point.case): point for point in after}
    return tuple(Pair(key[1], key[0], old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new)))


def conditions(before: RunRow, after: RunRow, found: Iterable[Pair]) -> Iterator[tuple[str, str, str]]:
    """What was different apart from the outcomes: the name of it, before, after."""
    for name in ("scenario", "commit", "guests", "accel", "qemu", "compiler", "host", "host_kernel", "lab"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield name.replace("_", " "), str(old), str(new)
    for old, new in dict.fromkeys(
        (
            f"{pair.state}: {pair.before.label} ({pair.before.kernel[:6]})",
            f"{pair.after.label} ({pair.after.kernel[:6]})",
        )
        for pair in found
        if pair.before and pair.after and pair.before.kernel != pair.after.kernel
    ):
        yield "kernel", old, new
