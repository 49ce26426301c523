"""A review reply: the patch it quotes, and what it says of which line. Pure.

reply = read(body, subject)
reply.patch            # as git format-patch would have it, as far as it was quoted
reply.missing          # what was not quoted, in words
reply.remarks[0].text, reply.remarks[0].where.shown
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.kernel import mail
from harness.review import quoting
from harness.review.posting import OF_OTHERS, TRAILER
from harness.review.quoting import Line, Of
from harness.review.rebuild import Builder, missing

AUTHOR = re.compile(
    r"^(?:On .*?, )?(?P<name>[^\[<,\d][^\[<,]*?)\s*[\[<](?P<address>[^\]>]+)[\]>]\s*(?:wrote|writes)\s*:"
)


A_MAIL = re.compile(rb"\A(?:From \S+ |(?:[A-Za-z-]+: .*\r?\n(?:[ \t].*\r?\n)*)*?(?:From|Subject|Message-I[Dd]): )")
"""Not the ``Re: ...`` that an archive's page begins with."""


@dataclass(frozen=True)
class Anchor:
    """What a remark is about. ``line`` is a line of the new ``file``, of the old one when ``removed``; 0 for none.

    ``patch_line`` counts in the rebuilt diff from 1; ``quoted`` is the last line quoted above the remark. A remark on
    the commit message has no file.
    """

    file: str = ""
    function: str = ""
    line: int = 0
    removed: bool = False
    patch_line: int = 0
    quoted: str = ""

    @property
    def shown(self) -> str:
        """For people: ``fs/namei.c:2567, checkpoint_fill_relink_fname()``."""
        if not self.file:
            return "commit message" if self.quoted else "in general"
        place = f"{self.file}:{self.line}" if self.line else self.file
        place += " (removed)" if self.removed else ""
        return f"{place}, {self.function}()" if self.function else place


@dataclass(frozen=True)
class Remark:
    """What a reviewer says at one place; paragraphs are kept as they are."""

    text: str
    where: Anchor


@dataclass(frozen=True)
class Reply:
    """A reply, taken apart. ``trailers`` are those that the reviewer gives, ``Reviewed-by:`` and the like."""

    subject: str
    author: str
    message: str
    diff: str
    files: tuple[str, ...]
    hunks: int
    missing: tuple[str, ...]
    remarks: tuple[Remark, ...]
    trailers: tuple[tuple[str, str], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether everything that can be known of the patch was quoted."""
        return not self.missing

    @property
    def patch(self) -> bytes:
        """The quoted patch as a mail that git can take."""
        head = f"From: {self.author or 'unknown <unknown@localhost>'}\nSubject: {self.subject or 'a quoted patch'}\n\n"
        return f"{head}{self.message}\n{self.diff}".encode(errors="surrogateescape")


@dataclass
class _Reader:
    """The walk through a reply: patch lines to the builder, the reviewer's lines to remarks."""

    builder: Builder = field(default_factory=Builder)
    remarks: list[Remark] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def walk(self, lines: Sequence[Line]) -> None:
        patch = [line.text for line in lines if line.of is Of.PATCH]
        at = 0
        for line in lines:
            if line.of is Of.REVIEWER:
                self.say(line.text)
                continue
            self.conclude()
            if line.of is Of.PATCH:
                at += 1
                self.take(line.text, patch[at] if at < len(patch) else "")
            elif line.of is Of.CUT:
                self.builder.cut()
        self.conclude()

    def say(self, text: str) -> None:
        found = TRAILER.match(text)
        if found and found["key"] in OF_OTHERS:
            self.trailers.append((found["key"], found["value"].strip()))
        else:
            self.said.append(text)

    def take(self, text: str, following: str) -> None:
        if quoting.is_cut(text.strip()) and text[:1] not in (" ", "+", "-") and text.strip():
            self.builder.cut()
            return
        self.builder.take(text, following)

    def conclude(self) -> None:
        """The reviewer has said something, and now it is the patch's turn again."""
        while self.said and not self.said[0].strip():
            self.said.pop(0)
        while self.said and not self.said[-1].strip():
            self.said.pop()
        if self.said:
            self.remarks.append(Remark("\n".join(line.rstrip() for line in self.said), self.anchor()))
        self.said = []

    def anchor(self) -> Anchor:
        builder = self.builder
        if not builder.files:
            quoted = next((line for line in reversed(builder.message) if line.strip()), "")
            return Anchor(quoted=quoted)
        file, hunk = builder.files[-1], builder.hunk
        if hunk is None:
            return Anchor(file=file.path, quoted=file.headers[-1])
        if not hunk.lines:
            return Anchor(file.path, "", hunk.new_start, False, self._patch_line(), hunk.header)
        last = len(hunk.lines) - 1
        line, removed = hunk.place(last)
        return Anchor(file.path, hunk.function(last), line, removed, self._patch_line(), hunk.lines[last])

    def _patch_line(self) -> int:
        return sum(file.text().count("\n") for file in self.builder.files)


def read(body: str, subject: str = "") -> Reply:
    """Take a reply apart. Never fails; a text that quotes no patch has no files."""
    reader = _Reader()
    lines = quoting.classified(body)
    reader.walk(lines)
    builder = reader.builder
    return Reply(
        subject=_subject(subject, lines),
        author=_author(lines),
        message="\n".join(builder.message).strip("\n"),
        diff="".join(file.text() for file in builder.files),
        files=tuple(file.path for file in builder.files),
        hunks=sum(len(file.hunks) for file in builder.files),
        missing=tuple(missing(builder)),
        remarks=tuple(reader.remarks),
        trailers=tuple(reader.trailers),
    )


def read_mail(data: bytes) -> Reply:
    """The same of a mail, or of an archive's page saved as text."""
    if not A_MAIL.match(data):
        return read(data.decode(errors="replace"))
    letter = mail.read(data)
    found = re.search(rb"^Subject: *(.*(?:\r?\n[ \t].*)*)", data, re.MULTILINE | re.IGNORECASE)
    raw = found.group(1).decode(errors="replace") if found else ""
    return read(letter.body.decode(errors="replace"), " ".join(raw.split()))


def _subject(given: str, lines: Sequence[Line]) -> str:
    candidates = [given, *(line.text for line in lines if line.of is Of.NOBODY)]
    for text in candidates:
        found = quoting.SUBJECT.match(text.strip())
        if found:
            return re.sub(r"^(?:(?:Re|AW|Fwd?):\s*)+", "", found.group("subject"), flags=re.IGNORECASE)
    return re.sub(r"^(?:(?:Re|AW|Fwd?):\s*)+", "", given, flags=re.IGNORECASE)


def _author(lines: Sequence[Line]) -> str:
    """Whom the attribution line names: the author of what is quoted."""
    for line in lines:
        found = AUTHOR.match(line.text.strip()) if line.of is Of.NOBODY else None
        if found:
            return f"{found['name'].strip()} <{found['address'].strip()}>"
    return ""
