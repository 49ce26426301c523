"""Logging: quiet by default, everything to a file when asked."""

from __future__ import annotations

import logging
import os


def set_up(verbosity: int) -> None:
    """0 warnings, 1 information, 2 and LAB_DEBUG everything; to standard error, times since the start."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    if os.environ.get("LAB_DEBUG"):
        level = logging.DEBUG
    logging.basicConfig(level=level, format="%(relativeCreated)7.0f ms %(name)s: %(message)s")
    for noisy in ("paramiko", "asyncio"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
