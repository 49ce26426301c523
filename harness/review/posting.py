"""What was posted: mails to a series, its versions, cover letter, trailers, replies. Pure.

posting = assemble([parse(data) for data in mails])
posting.title, posting.version, posting.patches[0].subject
"""

from __future__ import annotations

import email.parser
import email.utils
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from harness.errors import UserError
from harness.kernel import mail
from harness.kernel.patch import diff_of

TAG = re.compile(r"\[(?P<words>[^\]]*\b(?:PATCH|RFC)\b[^\]]*)\]", re.IGNORECASE)
LONGEST = 1000
"""Characters of a subject that are looked at; a line of a mail has no more."""
REPLY = re.compile(r"^\s*(?:Re|AW|Fwd?|Antw)\s*:", re.IGNORECASE)
TRAILER = re.compile(
    r"^(?P<key>[A-Z][a-z]+(?:-[a-z]+)*-by|Cc|Fixes|Link|Closes|Change-Id|Message-ID): +(?P<value>\S.*)$", re.M
)
OF_OTHERS = ("Reviewed-by", "Acked-by", "Tested-by", "Reported-by", "Suggested-by", "Nacked-by")
"""What a reply may add to a patch."""
MISSING = 12
"""Missing patches that are named: who writes ``1/99999999`` has more."""
SLUG = re.compile(r"[^A-Za-z0-9_.]+")


@dataclass(frozen=True)
class Mail:
    """One mail of a thread. ``number`` is 0 for a cover letter and ``of`` 1 for a patch that is a series of its own."""

    data: bytes
    subject: str
    tag: str
    version: int
    number: int
    of: int
    message_id: str
    parents: tuple[str, ...]
    sent: float

    @cached_property
    def diff(self) -> bytes:
        """The part that is a diff; empty in cover letters and most replies."""
        return diff_of(mail.body(self.data))

    @cached_property
    def text(self) -> str:
        """Its body."""
        return mail.read(self.data).body.decode(errors="replace").replace("\r\n", "\n")

    @property
    def is_reply(self) -> bool:
        return bool(REPLY.match(self.subject))

    @property
    def title(self) -> str:
        """The subject without tags."""
        return " ".join(TAG.sub("", REPLY.sub("", self.subject)).split())

    @property
    def author(self) -> str:
        return mail.read(self.data).author

    @property
    def trailers(self) -> tuple[tuple[str, str], ...]:
        """Signed-off-by and the like, of the message before the diff; what is quoted does not count."""
        message = mail.read(self.data).message if not self.is_reply else self.text
        return tuple((found["key"], found["value"].strip()) for found in TRAILER.finditer(message))


@dataclass(frozen=True)
class Posting:
    """A series as it was posted, in its newest version. ``versions`` are all that the mails have.

    ``notes`` are what a reader has to know of how its patches were chosen.
    """

    patches: tuple[Mail, ...]
    cover: Mail | None = None
    replies: tuple[Mail, ...] = ()
    versions: tuple[int, ...] = (1,)
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        return self.patches[0].version

    @property
    def title(self) -> str:
        return self.cover.title if self.cover else self.patches[0].title

    @property
    def author(self) -> str:
        return (self.cover or self.patches[0]).author

    @property
    def message_id(self) -> str:
        return (self.cover or self.patches[0]).message_id

    def given_to(self, patch: Mail) -> tuple[tuple[str, str], ...]:
        """Trailers that replies give a patch: to its own mail, or to the cover letter, which means every patch."""
        wanted = {patch.message_id, self.cover.message_id if self.cover else ""} - {""}
        return tuple(
            trailer
            for reply in self.replies
            if reply.parents and reply.parents[-1] in wanted
            for trailer in reply.trailers
            if trailer[0] in OF_OTHERS
        )

    def file_name(self, patch: Mail) -> str:
        """As format-patch names it."""
        slug = SLUG.sub("-", patch.title).strip("-.")[:52] or "patch"
        return f"{self.patches.index(patch) + 1:04}-{slug}.patch"


def parse(data: bytes) -> Mail:
    """A mail. Never fails: what it does not say is empty, version 1, patch 1 of 1."""
    _, _, rest = data.partition(b"\n") if data.startswith(b"From ") else (b"", b"", data)
    headers = email.parser.BytesHeaderParser().parsebytes(rest)
    subject = " ".join(mail.header(headers, "Subject").split())[:LONGEST]
    found = TAG.search(subject)
    tag = found["words"] if found else ""
    version = re.search(r"\bv(\d+)\b", tag, re.IGNORECASE)
    numbers = re.search(r"\b(\d+)/(\d+)\b", tag)
    parents = re.findall(r"<([^<>\s]+)>", f"{headers.get('References', '')} {headers.get('In-Reply-To', '')}")
    return Mail(
        data=data,
        subject=subject,
        tag=tag,
        version=int(version.group(1)) if version else 1,
        number=int(numbers.group(1)) if numbers else 1,
        of=int(numbers.group(2)) if numbers else 1,
        message_id=mail.header(headers, "Message-ID").strip("<> "),
        parents=tuple(parents),
        sent=_sent(mail.header(headers, "Date")),
    )


def _sent(text: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return 0.0


def assemble(mails: Iterable[Mail], version: int | None = None, *, partial: bool = False) -> Posting:
    """The newest version of the series that the mails hold, or the one asked for.

    ``partial`` takes what is there of it. Raises UserError when there is no patch, or when one is missing.
    """
    mails = list(mails)
    patches = [each for each in mails if each.diff and not each.is_reply and each.number > 0]
    if not patches:
        raise _no_patch(mails)
    versions = sorted({each.version for each in patches})
    chosen = version or versions[-1]
    if chosen not in versions:
        raise UserError(f"there is no version {chosen} of it here", hint=f"versions: {', '.join(map(str, versions))}")
    notes: list[str] = []
    own = _newest_of_each(_numbered([each for each in patches if each.version == chosen], notes), notes)
    if not partial:
        _complete(own, chosen)
    covers = [each for each in mails if each.number == 0 and each.version == chosen and not each.is_reply]
    ours = {each.message_id for each in (*own, *covers)}
    replies = [each for each in mails if each.is_reply and ours & set(each.parents)]
    return Posting(own, covers[-1] if covers else None, tuple(replies), tuple(versions), tuple(notes))


def _no_patch(mails: Sequence[Mail]) -> UserError:
    subjects = [each.subject for each in mails if each.subject]
    more = f" and {len(subjects) - 3} more" if len(subjects) > 3 else ""
    said = ", ".join(map(repr, subjects[:3])) + more or "no mail at all"
    if any(mail.is_html_alone(each.data) for each in mails):
        hint = "HTML alone spoils a patch: its author has to send it as plain text"
    elif mails and all(each.number == 0 for each in mails):
        hint = "that is a cover letter: give its patches too, a mbox of the whole thread, or the message-id"
    else:
        hint = "`lab review --reply` reads review replies"
    return UserError(f"there is no patch in what was given: {said}", hint=hint)


def _numbered(patches: Sequence[Mail], notes: list[str]) -> list[Mail]:
    """The patches of one series. A patch without a number among others that have one is none of them.

    Raises UserError for two series.
    """
    numbered = [each for each in patches if each.of > 1]
    if not numbered:
        return list(patches)
    totals = sorted({each.of for each in numbered})
    if len(totals) > 1:
        kinds = ", ".join(
            f"{next(each.subject for each in numbered if each.of == total)!r} is of {total}" for total in totals
        )
        raise UserError(f"the mails hold more than one series: {kinds}", hint="give the mails of one")
    notes += [f"left out, as it has no number: {each.subject}" for each in patches if each.of == 1]
    return numbered


def _newest_of_each(patches: Sequence[Mail], notes: list[str]) -> tuple[Mail, ...]:
    """Each patch once, the last sent, by number. Mails without numbers are patches in the order in which they came."""
    if all(each.of == 1 for each in patches):
        return tuple({each.diff: each for each in patches}.values())
    by_number: dict[int, Mail] = {}
    for each in sorted(patches, key=lambda each: each.sent):
        before = by_number.get(each.number)
        if before and before.diff != each.diff:
            notes.append(f"patch {each.number} came twice and was not the same: taken is the later, {each.title!r}")
        by_number[each.number] = each
    return tuple(by_number[number] for number in sorted(by_number))


def _complete(patches: Sequence[Mail], version: int) -> None:
    of = max(each.of for each in patches)
    if of == 1:
        return
    there = {each.number for each in patches}
    lacking = list(islice((number for number in range(1, of + 1) if number not in there), MISSING + 1))
    if lacking:
        named = ", ".join(map(str, lacking[:MISSING])) + (" and more" if len(lacking) > MISSING else "")
        raise UserError(
            f"version {version} has {of} patches, and {'patch' if len(lacking) == 1 else 'patches'} {named} "
            f"{'is' if len(lacking) == 1 else 'are'} not among the mails",
            hint="give all of them: a mbox of the whole thread, a folder, or the files in any order",
        )
