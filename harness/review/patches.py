"""The patches of a review: what their mails say, and what became of each."""

from __future__ import annotations

from harness.review.desk import Desk
from harness.review.model import Patch
from harness.review.posting import Mail
from harness.runner.checked import Report, Row


def cover(desk: Desk) -> str:
    """The cover letter's text, "" without one."""
    return desk.posting.cover.text if desk.posting.cover else ""


def of(desk: Desk, report: Report) -> list[Patch]:
    """All patches of the mails in order, those that do not apply among them."""
    made = [
        _patch(desk, mail, row, number)
        for mail, row, number in zip(desk.posting.patches, report.rows, desk.numbers, strict=True)
    ]
    made += [
        Patch(number=mail.number, title=mail.title, author=mail.author, message_id=mail.message_id,
              diff=mail.diff.decode(errors="replace"), refused=why)
        for mail, why in desk.refused
    ]  # fmt: skip
    return sorted(made, key=lambda patch: patch.number)


def _patch(desk: Desk, mail: Mail, row: Row, number: int) -> Patch:
    return Patch(
        number=number,
        title=mail.title,
        author=mail.author,
        message=row.patch.letter.message,
        diff=row.patch.diff.decode(errors="replace"),
        message_id=mail.message_id,
        trailers=mail.trailers,
        given=desk.posting.given_to(mail),
        results=row.results,
    )
