"""Variables that programs in a guest see (``--env``, nightly.toml): what its kernel's command line can carry.

The bounds are the agent's (images/tiny/agent.c): a word that is longer it would cut, one too many it would drop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import UserError

PAIR = re.compile(r"[A-Za-z_]\w*=[\w.,:/+@%=-]*", re.ASCII)
LENGTH = 127
MOST = 8


def fault(pairs: Sequence[str]) -> str:
    """What is wrong with the first NAME=VALUE that a guest cannot be told, or with their number; empty when nothing."""
    for pair in pairs:
        if not PAIR.fullmatch(pair):
            return f"{pair!r} is no NAME=VALUE that a guest can be told: no blanks, no quotes"
        if len(pair) > LENGTH:
            return f"{pair!r} is longer than a guest can be told: {LENGTH} characters"
    return f"a guest can be told {MOST} variables, not {len(pairs)}" if len(pairs) > MOST else ""


def check(pairs: Sequence[str]) -> None:
    """Raises UserError for variables that a guest cannot be told."""
    wrong = fault(pairs)
    if wrong:
        raise UserError(wrong)
