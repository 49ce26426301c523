"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """One sign of life. ``done`` of ``total`` units (objects compiled, cases run); ``total`` 0 when unknown."""

    stage: str
    done: int = 0
    total: int = 0
    note: str = ""


Progress = Callable[[Step], None]


def silent(_step: Step) -> None:
    """For callers that do not listen."""
