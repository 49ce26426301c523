"""The numbers a case reports of itself: lines ``# lab_cost NAME NUMBER`` of its stream (testcases/include/cost.h)."""

from __future__ import annotations

import re

LINE = re.compile(r"^\s*# lab_cost (?P<name>[\w.+-]+) (?P<number>[0-9]{1,18})\s*$", re.MULTILINE)


def costs(ktap: str) -> dict[str, int]:
    """Numbers by name, in the order in which they were reported. Of a name that comes twice, the last counts."""
    return {found["name"]: int(found["number"]) for found in LINE.finditer(ktap)}
