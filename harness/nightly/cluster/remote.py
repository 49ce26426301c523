"""Functions of the lab by their name, for a scheduler that does not have the lab.

Dask's scheduler reads the task graph. A function that is looked up where it is called needs nothing there but Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def remote(name: str) -> Callable[..., Any]:
    """Call ``module.function`` on the worker that gets it. Nested, so that it travels by value and not by reference."""

    def call(*given: Any) -> Any:
        import importlib

        module, _, function = name.rpartition(".")
        return getattr(importlib.import_module(module), function)(*given)

    return call
