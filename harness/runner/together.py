"""The same for several states at once, each in a thread of its own whose programs end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from harness import process

T = TypeVar("T")
R = TypeVar("R")

MOMENT = 0.1
"""Seconds between two looks at who still runs."""


def together(jobs: int, do: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """What ``do`` makes of each item, in their order, so many at a time.

    Raises what the first of them raises; then, and when nobody asks for the rest, what the others had running is ended.
    """
    crew = object()  # others that run beside these go on
    with ThreadPoolExecutor(
        max(1, min(jobs, len(items))), thread_name_prefix="state", initializer=process.enlist, initargs=(crew,)
    ) as pool:
        futures = [pool.submit(do, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            process.kill_all(crew)
            while wait(futures, timeout=MOMENT).not_done:  # one may have started another program meanwhile
                process.kill_all(crew)
            raise
