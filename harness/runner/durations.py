"""How long cases took the last time: the longest start first, so that none of them is waited for alone at the end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable

from harness.cache import Cache


class Durations:
    """Seconds by case of one scenario, kept in the cache. Losing them costs a little time, so no error is raised."""

    def __init__(self, cache: Cache, scenario: str) -> None:
        self._path = cache.root / "durations" / f"{scenario}.json"
        self._seconds = self._read()

    def _read(self) -> dict[str, float]:
        try:
            known = json.loads(self._path.read_text())
            return {str(case): float(seconds) for case, seconds in known.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def longest_first(self, cases: Iterable[str]) -> list[str]:
        """The cases by what they took, those never run first: they may be the longest."""
        return sorted(cases, key=lambda case: -self._seconds.get(case, float("inf")))

    def note(self, case: str, seconds: float) -> None:
        self._seconds[case] = round(seconds, 3)

    def keep(self) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(self._seconds, indent=1, sort_keys=True))
            part.rename(self._path)
