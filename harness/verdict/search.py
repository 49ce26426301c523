"""A binary search for where something turned, over positions of which some cannot be tried. Pure."""

from __future__ import annotations

from collections.abc import Callable


def search(count: int, ask: Callable[[int], bool | None]) -> tuple[int, int] | bool | None:
    """The last position of the old kind and the first of the new: neighbours, unless what lies between cannot be tried.

    Positions are 0 to ``count``; ``ask`` says of one whether it is good, None when it cannot be tried, and may be asked
    again. A bool when both ends are of that kind, None when an end cannot be tried.
    """
    before, after = ask(0), ask(count)
    if before is None or after is None:
        return None
    if before == after:
        return after
    old, new = 0, count
    while (middle := _between(old, new, ask)) is not None:
        if ask(middle) == before:
            old = middle
        else:
            new = middle
    return old, new


def _between(old: int, new: int, ask: Callable[[int], bool | None]) -> int | None:
    """The position nearest the middle that can be tried, None when there is none."""
    centre = (old + new) // 2
    order = sorted(range(old + 1, new), key=lambda position: abs(position - centre))
    return next((position for position in order if ask(position) is not None), None)
