"""How often something fails, and how sure that is. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


@dataclass(frozen=True)
class Rate:
    """``failed`` of ``runs``."""

    failed: int
    runs: int

    @property
    def value(self) -> float:
        """Between 0 and 1; 0 when nothing was run."""
        return self.failed / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true rate is, 19 times of 20: Wilson's interval, which stays honest for few runs and rare failures
        (Wilson, JASA 22, 1927). (0, 1) when nothing was run."""
        if not self.runs:
            return 0.0, 1.0
        share, runs = self.value, self.runs
        middle = (share + Z * Z / (2 * runs)) / (1 + Z * Z / runs)
        half = Z / (1 + Z * Z / runs) * math.sqrt(share * (1 - share) / runs + Z * Z / (4 * runs * runs))
        low, high = max(0.0, middle - half), min(1.0, middle + half)
        return (0.0 if self.failed == 0 else low), (1.0 if self.failed == runs else high)

    @property
    def words(self) -> str:
        """``2 of 9 failed (6% to 55%)``"""
        low, high = self.interval
        return f"{self.failed} of {self.runs} failed ({low:.0%} to {high:.0%})"
