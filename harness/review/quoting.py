"""How a reply quotes: which lines are the patch's, which are the reviewer's. Pure.

People quote with ``> ``, ``| ``, ``>> ``, ``MH> ``; they cut with ``[snip]`` and ``[...]``; mailers put attribution
lines above and lists put footers below; archives put navigation around all of it. The mark of a reply is found from the
lines of the patch that can only be a diff's: whatever stands before ``diff --git`` is how this mail quotes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

MARKER = re.compile(
    r"^(?P<mark>[ \t]*(?:\w{0,4}[>|:}][ \t]?)+)"
    r"(?:diff --git a/|--- (?:a/|/dev/null)|\+\+\+ (?:b/|/dev/null)|@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@"
    r"|index [0-9a-f]{6,}\.\.[0-9a-f]{6,})"
)
ANY_MARK = re.compile(r"^[ \t]*(?:\w{0,4}[>|][ \t]?)+")
LONGEST = 400
"""Characters of a line that may still be an attribution, a cut or navigation: what is longer is somebody's text."""
SNIP = re.compile(
    r"^[\s\-=*~_<>\[\](){}.…|:#+]*(?:snip|snipped|snippage|cut|cut here|trim|trimmed|skip|skipped|deleted|omitted)?"
    r"[\s\-=*~_<>\[\](){}.…|:#+8]*$",
    re.IGNORECASE,
)
CUT_WORDS = re.compile(r"[.…]{2,}|…|snip|cut|trim|skip|delete|omit|8<|>8", re.IGNORECASE)
ATTRIBUTION = re.compile(
    r"^(?:On .*|.*(?:\[|<|@|\bat\b).*|.*\d{4}.*)?\b(?:wrote|writes|said|a écrit)\s*:\s*$"
    r"|^(?:Am|Op|El|Il|Le) .*\d.*\b(?:schrieb|schreef|escribió|ha scritto|a écrit)\b.*:\s*$"
)
ATTRIBUTION_START = re.compile(r"^On (?:\w{3},? )?.*\d")
NAVIGATION = re.compile(r"^\s*(?:\[[^\]]+\]\s*){3,}$|^\s*Powered by Linux\s*$|^More majordomo info at\b")
SIGNATURE = re.compile(r"^--\s?$")
LIST_FOOTER = re.compile(r"^(?:_{20,}|To unsubscribe from this list\b)")
SUBJECT = re.compile(
    r"^(?:Subject:\s*)?(?P<subject>(?:(?:Re|AW|Fwd?):\s*)*\[[^\]]*(?:PATCH|RFC)[^\]]*\].*)$", re.IGNORECASE
)
HEADER = re.compile(r"^(?:From|To|Cc|Date|Subject|Message-I[Dd]|In-Reply-To|References|Reply-To|Sender|List-\w+): ")


class Of(Enum):
    """Whose a line is."""

    PATCH = "patch"
    REVIEWER = "reviewer"
    CUT = "cut"
    NOBODY = "nobody"  # attribution, navigation, signature


@dataclass(frozen=True)
class Line:
    """A line of a reply: without the quoting when it is the patch's."""

    of: Of
    text: str


def mark_of(lines: Sequence[str]) -> str:
    """What this reply puts before the patch's lines; "" when it quotes no diff."""
    found = (MARKER.match(line) for line in lines)
    marks = Counter(each.group("mark") for each in found if each)
    return marks.most_common(1)[0][0] if marks else ""


def classified(text: str) -> list[Line]:
    """All lines of a reply's body, from its beginning to its signature."""
    lines = text.replace("\r\n", "\n").splitlines()
    mark = mark_of(lines)
    if not mark:
        lines = [line for line in lines if not HEADER.match(line)]
        mark = _other_mark(lines)
    last = max((at for at, line in enumerate(lines) if _quoted(line, mark)), default=-1)
    lines = [*lines[: last + 1], *_unsigned(lines[last + 1 :])]
    return list(_classify(lines, mark))


def _other_mark(lines: Sequence[str]) -> str:
    """The mark of a reply that quotes no diff: that of most lines."""
    marks = Counter(found.group() for line in lines if (found := ANY_MARK.match(line)))
    return marks.most_common(1)[0][0] if marks else "> "


def _quoted(line: str, mark: str) -> bool:
    """Mailers take the space off the mark of an empty line."""
    return line.startswith(mark) or line.rstrip() == mark.rstrip()


def _classify(lines: Sequence[str], mark: str) -> Iterator[Line]:
    within_attribution = False
    before_quote = True
    for at, line in enumerate(lines):
        if _quoted(line, mark):
            before_quote = within_attribution = False
            yield Line(Of.PATCH, line[len(mark) :])
            continue
        bare = line.strip()
        if len(line) > LONGEST:
            yield Line(Of.REVIEWER, line)
        elif before_quote and (SUBJECT.match(bare) or HEADER.match(line)):
            yield Line(Of.NOBODY, line)
        elif _is_attribution(bare, within_attribution) or NAVIGATION.match(line):
            within_attribution = False
            yield Line(Of.NOBODY, line)
        elif ATTRIBUTION_START.match(bare) and _ends_soon(lines, at):
            within_attribution = True
            yield Line(Of.NOBODY, line)
        elif bare and is_cut(bare):
            yield Line(Of.CUT, line)
        else:
            yield Line(Of.REVIEWER, line)


def _is_attribution(bare: str, continued: bool) -> bool:
    return bool(ATTRIBUTION.match(bare)) or (continued and bare.endswith(("wrote:", "writes:", "said:")))


def _ends_soon(lines: Sequence[str], at: int) -> bool:
    """Whether an attribution that begins at this line is wrapped onto the next."""
    return any(following.strip().endswith(("wrote:", "writes:")) for following in lines[at + 1 : at + 3])


def is_cut(text: str) -> bool:
    """Whether a line only says that something was left out: ``[snip]``, ``<snip>``, ``[...]``, ``...``."""
    return bool(SNIP.match(text) and CUT_WORDS.search(text))


def _unsigned(lines: Sequence[str]) -> list[str]:
    """What follows the last quoted line, without signature, the list's footer and the name above them."""
    ends = (at for at, line in enumerate(lines) if SIGNATURE.match(line) or LIST_FOOTER.match(line))
    end = next(ends, None)
    kept = [line for line in lines[:end] if not NAVIGATION.match(line)]
    while kept and not kept[-1].strip():
        kept.pop()
    alone = len(kept) > 1 and not kept[-2].strip() and any(line.strip() for line in kept[:-1])
    if end is not None and alone and re.fullmatch(r"\W?[A-Z]\w*\W?", kept[-1].strip()):
        kept.pop()
    return kept
