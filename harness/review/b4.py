"""What ``b4 review`` asks of a check: one mail on standard input, a JSON array of results on standard output.

b4's words (its docs/maintainer/review.rst, "CI check integration"): ``tool`` is a column, ``status`` is pass, warn or
fail, ``summary`` one line, ``url`` opens in a browser, ``details`` are lines. An empty array says nothing; an exit
status other than 0 without JSON is an error of the check itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from harness.review import figures, text
from harness.review.matrix import Row
from harness.review.model import Patch, Review
from harness.review.posting import Mail
from harness.runner.checked import Check, Outcome, Result

PASS, WARN, FAIL = "pass", "warn", "fail"
COLUMNS = {
    "lab-style": (Check.STYLE,),
    "lab-build": (Check.APPLY, Check.WARNINGS, Check.SPARSE, Check.BUILD),
    "lab-boot": (Check.BOOT,),
}
"""b4 shows a column a tool: these."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One result, with b4's names."""

    tool: str
    status: str
    summary: str = ""
    url: str = ""
    details: str = ""


def find(reviews: Path, mail: Mail) -> tuple[Review, Path] | None:
    """The newest review that has this mail: by its Message-ID, else by what the patch changes."""
    for path in sorted(reviews.glob("*/review.json"), reverse=True):
        try:
            review = msgspec.json.decode(path.read_bytes(), type=Review)
        except (OSError, msgspec.MsgspecError):
            continue
        if of_mail(review, mail) is not None or _is_cover(review, mail):
            return review, path.parent
    return None


def of_mail(review: Review, mail: Mail) -> Patch | None:
    """The patch of a review that a mail is."""
    for patch in review.patches:
        same_mail = bool(mail.message_id) and patch.message_id == mail.message_id
        if mail.diff and (same_mail or _text(patch.diff) == _text(mail.diff.decode(errors="replace"))):
            return patch
    return None


def _text(diff: str) -> str:
    """b4 gives a mail on without the empty lines at its end, which may have been a diff's last line of context."""
    return diff.rstrip()


def _is_cover(review: Review, mail: Mail) -> bool:
    if mail.diff or mail.number:
        return False
    if mail.message_id and review.message_id:
        return review.message_id == mail.message_id
    return (review.title, review.version) == (mail.title, mail.version)


def answers(review: Review, folder: Path, mail: Mail) -> list[Answer]:
    """What is known of a mail: a patch's own checks and cases, or the series' in sum for a cover letter."""
    patch = of_mail(review, mail)
    report = folder.resolve() / "report.html"
    if patch is None:
        return list(_series(review, report.as_uri()))
    return list(_patch(review, patch, f"{report.as_uri()}#patch-{patch.number}"))


def not_reviewed(mail: Mail) -> list[Answer]:
    """The answer for a patch of a series that nobody has reviewed yet: alone it means little."""
    command = f"lab review {mail.message_id or 'MBOX'}"
    return [Answer(tool="lab", status=WARN, summary="not reviewed yet", details=f"run: {command}")]


def _patch(review: Review, patch: Patch, url: str) -> Iterator[Answer]:
    if patch.refused:
        yield Answer(tool="lab-build", status=FAIL, summary="does not apply", url=url, details=patch.refused)
        return
    for tool, checks in COLUMNS.items():
        own = [result for result in patch.results if result.check in checks]
        if own:
            yield _checked(tool, own, url)
    yield from _cases([row for row in review.matrix if _concerns(review, row, patch)], url)


def _concerns(review: Review, row: Row, patch: Patch) -> bool:
    """Whether a case says something about a patch: it turned it, claims it, or broke it."""
    position = review.position(patch)
    cell = row.cells.get(str(position))
    return position in (row.found, row.claimed) or (cell is not None and not row.met and not cell.good)


def _checked(tool: str, results: list[Result], url: str) -> Answer:
    red = [result for result in results if result.outcome is Outcome.RED]
    undone = [result for result in results if result.outcome is Outcome.NOT_DONE]
    # Style is advice; a kernel that does not build is not.
    worst = WARN if tool == "lab-style" else FAIL
    status = worst if red else WARN if undone else PASS
    lines = [line for result in red for line in (f"{result.check.value}:", *text.told(result))]
    good = f"{', '.join(result.check.value for result in results)}: good"
    words = ", ".join(result.check.value for result in red) or ("not done" if undone else good)
    return Answer(tool=tool, status=status, summary=words, url=url, details="\n".join(lines))


def _cases(rows: list[Row], url: str) -> Iterator[Answer]:
    if not rows:
        return
    unmet = [row for row in rows if not row.met]
    turned = len(rows) - len(unmet)
    summary = f"{len(unmet)} not as promised" if unmet else f"turns {turned} from red to green"
    yield Answer(
        tool="lab-cases",
        status=FAIL if unmet else PASS,
        summary=summary,
        url=url,
        details="\n".join(f"{row.scenario}/{row.case}: {row.turn.value}" for row in (*unmet, *rows)),
    )


def _series(review: Review, url: str) -> Iterator[Answer]:
    red = [patch.number for patch in review.patches if patch.refused or not _clean(patch)]
    words = (
        f"patches {', '.join(map(str, red))} are red"
        if red
        else f"{figures.counted(len(review.patches), 'patch', 'patches')} good"
    )
    yield Answer(tool="lab-build", status=FAIL if red else PASS, summary=words, url=url, details=text.table(review))
    if review.matrix:
        unmet = sum(not row.met for row in review.matrix)
        words = f"{unmet} of {len(review.matrix)} cases not as promised" if unmet else f"{len(review.matrix)} cases"
        yield Answer(tool="lab-cases", status=FAIL if unmet else PASS, summary=words, url=url)
    if review.coverage and review.coverage.lines:
        line = figures.coverage_line(review.coverage)
        status = WARN if review.coverage.missed else PASS
        yield Answer(tool="lab-lines", status=status, summary=line.partition(";")[0], url=url, details=line)


def _clean(patch: Patch) -> bool:
    return all(result.outcome is not Outcome.RED for result in patch.results if result.check is not Check.STYLE)


def encode(found: Iterable[Answer]) -> bytes:
    """The array, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(list(found)), indent=2) + b"\n"
