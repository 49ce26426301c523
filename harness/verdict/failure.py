"""Why a test says ``not ok``: the assertion's own line, and the one word for it (EBADF).

The kselftest harness prints ``# file.c:42:test:text`` for an assertion and for a remark (TH_LOG) alike, then how the
test ended. The lab's C headers (testcases/include) word theirs ``call: EBADF (Bad file descriptor), expected success``.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from typing import NamedTuple

from harness.verdict.ktap import Line

_LOCATED = re.compile(r"(?P<where>[^\s:]+\.(?:c|h|cc|cpp|rs|sh|py):[0-9]+):(?:[\w.]+:)?\s*(?P<text>.*)$")
_EXPECTED = re.compile(r"[Ee]xpected\b")
_COMPARED = re.compile(
    r"Expected (?P<wanted>.*) \((?P<wanted_value>-?[0-9]+)\) (?P<sign>==|!=|<=|>=|<|>) "
    r"(?P<seen>.*) \((?P<seen_value>-?[0-9]+)\)$"
)
_ERRNO = re.compile(
    r"\b(" + "|".join(sorted(errno.errorcode.values(), key=len, reverse=True)) + r"|ENOTSUP|EWOULDBLOCK)\b"
)
_SAID = re.compile(r"(?P<seen>.*), expected (?:success|error|E[A-Z0-9]+)\b")
_SIGNAL = re.compile(r"Test terminated unexpectedly by signal ([0-9]+)")
_FAILED = re.compile(r"^\S+: Test failed$")
_TIMEOUT = re.compile(r"Test terminated by timeout$")
LAST_ERRNO = 4095
"""-MAX_ERRNO of the kernel: a return value below is no error number."""


class Failure(NamedTuple):
    """``line`` of the stream (0: none), ``where`` file:line of the source, the assertion's ``text``, its ``reason``."""

    line: int
    where: str
    text: str
    reason: str


def died(lines: Sequence[Line]) -> str | None:
    """``signal 11`` when the harness says that the test's process was killed, which is no assertion."""
    found = next((match for line in lines if (match := _SIGNAL.search(line.text))), None)
    return f"signal {found.group(1)}" if found else None


def timed_out(lines: Sequence[Line]) -> bool:
    """Whether the harness's own alarm ended the test."""
    return any(_TIMEOUT.search(line.text) for line in lines)


def gave_up(lines: Sequence[Line]) -> bool:
    """Whether the test's process left with an exit status of its own, and no assertion was ever printed."""
    return any(_FAILED.search(line.text) for line in lines) and not any(_LOCATED.search(line.text) for line in lines)


def explain(lines: Sequence[Line]) -> Failure:
    """The first failed assertion among a test's lines, with the shortest true reason that they give.

    Of several located lines the first that says what was expected is the assertion, the others are remarks; when none
    says so it is the last. The reason is the errno of the assertion, else the nearest errno of another line, else the
    start of the assertion's text.
    """
    located = [(line, match) for line in lines if (match := _LOCATED.search(line.text))]
    chosen = next(
        (pair for pair in located if _EXPECTED.search(pair[1].group("text"))), located[-1] if located else None
    )
    if chosen is None:
        return Failure(0, "", "", _nearest(lines, len(lines)) or _harness(lines) or "not ok")
    line, match = chosen
    text = match.group("text").strip()
    reason = errno_of(text) or _nearest(lines, list(lines).index(line)) or shorten(text)
    return Failure(line.number, match.group("where"), text, reason)


def _harness(lines: Sequence[Line]) -> str | None:
    """The harness's own words for how a test ended: ``Test exited normally instead of by signal (code: 0)``."""
    found = next((match for line in lines if (match := re.match(r"\S+: (Test .*)$", line.text))), None)
    return shorten(found.group(1)) if found else None


def errno_of(text: str) -> str | None:
    """The error that was *seen* according to an assertion's text, or None.

    ``Expected -ENOENT (-2) == ret (-9)`` saw EBADF although it names ENOENT; ``link(): success, expected ENOENT`` saw
    ``success``. -1 says nothing: it is what libc returns
    for every error.
    """
    compared = _COMPARED.search(text)
    if compared is None:
        said = _SAID.match(text)
        found = _ERRNO.search(said.group("seen") if said else text)
        return found.group(1) if found else "success" if said and said.group("seen").endswith(": success") else None
    # ASSERT_EQ(wanted, seen), but everybody writes ASSERT_GE(fd, 0).
    side = "wanted" if compared.group("sign") in (">=", ">") else "seen"
    seen, value = compared.group(side), int(compared.group(f"{side}_value")[:12])
    if re.search(r"\berrno\b", seen):
        return errno.errorcode.get(abs(value))
    return errno.errorcode.get(-value) if -LAST_ERRNO <= value < -1 else None


def _nearest(lines: Sequence[Line], index: int) -> str | None:
    """The errno on the line nearest to ``index``, lines before it first."""
    before = [line for line in reversed(lines[:index]) if not line.text.startswith("RUN ")]
    for line in (*before, *lines[index + 1 :]):
        found = errno_of(line.text)
        if found:
            return found
    return None


def shorten(text: str, width: int = 60) -> str:
    """One line of at most ``width`` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 3].rstrip() + "..."
