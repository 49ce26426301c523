"""Moments as people write them: ``7d``, ``12h``, a date, a time."""

from __future__ import annotations

import datetime
import re

from harness.errors import UserError

UNITS = {"h": 1, "d": 24, "w": 24 * 7}


def since(text: str, now: datetime.datetime) -> str:
    """``text`` as UTC in ISO 8601, the form in which the database has its times.

    Raises UserError when it is no moment.
    """
    ago = re.fullmatch(r"(\d+)([hdw])", text.strip())
    if ago:
        moment = now - datetime.timedelta(hours=int(ago.group(1)) * UNITS[ago.group(2)])
    else:
        try:
            moment = datetime.datetime.fromisoformat(text.strip())
        except ValueError as exc:
            raise UserError(
                f"{text!r} is no moment", hint="12h, 7d, 2w ago; or a date: 2026-11-01, 2026-11-01T18:00"
            ) from exc
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
