"""What reviewers said of a series: the replies among its mails, and those given beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.review import posting, reply
from harness.review.desk import Desk
from harness.review.model import Review, Said


def of(desk: Desk) -> Iterator[Said]:
    """What replies among the mails say, in the order in which they were sent."""
    numbers = {mail.message_id: number for mail, number in zip(desk.posting.patches, desk.numbers, strict=True)}
    for mail in sorted(desk.posting.replies, key=lambda each: each.sent):
        number = next((numbers[parent] for parent in reversed(mail.parents) if parent in numbers), 0)
        yield from said_in(mail.data, number, mail.author)


def said_in(data: bytes, number: int, author: str = "") -> list[Said]:
    """The remarks of one reply on patch ``number``."""
    taken = reply.read_mail(data)
    return [
        Said(
            number=number,
            author=author,
            text=remark.text,
            place=remark.where.shown,
            file=remark.where.file,
            line=remark.where.line,
            removed=remark.where.removed,
        )
        for remark in taken.remarks
    ]


def with_replies(review: Review, replies: Sequence[Path]) -> Review:
    """The review with what further replies say and give, each on the patch whose subject it answers."""
    said = list(review.remarks)
    patches = {patch.number: patch for patch in review.patches}
    for path in replies:
        data = path.read_bytes()
        taken = reply.read_mail(data)
        answered = posting.parse(f"Subject: {taken.subject}\n\n".encode(errors="replace"))
        number = _answered(review, answered.title, answered.number, taken.files)
        said += said_in(data, number, posting.parse(data).author)
        if number in patches and taken.trailers:
            given = (*patches[number].given, *taken.trailers)
            patches[number] = msgspec.structs.replace(patches[number], given=given)
    return msgspec.structs.replace(review, remarks=tuple(said), patches=tuple(patches.values()))


def _answered(review: Review, title: str, number: int, files: Sequence[str]) -> int:
    """The patch that a reply is about: by its title, else by its number if it has a file of those quoted, else none.

    A series is told anew between its versions: what was patch 5 then may be spread over three others now.
    """
    for patch in review.patches:
        if patch.title == title:
            return patch.number
    own = next((patch for patch in review.patches if patch.number == number), None)
    return number if own and any(f"/{name}" in own.diff for name in files) else 0
