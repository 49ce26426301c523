"""A patch file as the mail it is: subject, author, message, body. A bare diff is a mail without headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

HEADED = re.compile(rb"\A(?:From \S+ |[A-Za-z-]+: )")
ENCODED = re.compile(
    rb"^(?:content-transfer-encoding:\s*(?:base64|quoted)|content-type:\s*(?:multipart|text/html))", re.I | re.M
)
EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
TAGS = re.compile(r"^(?:\s*\[[^\]]*\])+\s*")
END_OF_MESSAGE = re.compile(r"^(?:---|diff --git .*|Index: .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Letter:
    """What a patch's mail says. ``author`` is ``Name <address>`` or empty, ``date`` as git takes it or empty."""

    subject: str
    author: str
    date: str
    message: str
    body: bytes

    def author_environment(self) -> dict[str, str]:
        """Who git shall say wrote it."""
        import email.utils

        name, address = email.utils.parseaddr(self.author)
        if not address:
            return {}
        named = {"GIT_AUTHOR_NAME": name or address, "GIT_AUTHOR_EMAIL": address}
        return named | ({"GIT_AUTHOR_DATE": self.date} if self.date else {})


def body(data: bytes) -> bytes:
    """The body of a patch file. Plain mails, nearly all, are cut at the first empty line: faster than a mail reader."""
    if not HEADED.match(data):
        return data
    empty = EMPTY_LINE.search(data)
    if empty is None:
        return b""
    return read(data).body if ENCODED.search(data, 0, empty.start()) else _without_transport(data[empty.end() :])


def read(data: bytes) -> Letter:
    """Take a patch file apart. Never fails: what cannot be understood is left empty."""
    if not HEADED.match(data):
        return Letter("", "", "", "", data)
    import email

    mail = email.message_from_bytes(data)
    parts = list(_text_parts(mail))
    text = "".join(_decoded(content, charset) for content, charset in parts).replace("\r\n", "\n")
    author = header(mail, "From")
    inner = re.match(r"\s*From: (.+)\n", text)
    if inner:
        author, text = inner.group(1).strip(), text[inner.end() :]
    end = END_OF_MESSAGE.search(text)
    message = text[: end.start()] if end else text
    subject = " ".join(TAGS.sub("", header(mail, "Subject")).split())
    return Letter(
        subject, author, _date(header(mail, "Date")), message.strip(), b"".join(content for content, _ in parts)
    )


def is_html_alone(data: bytes) -> bool:
    """Whether a mail has text as HTML and in no other form."""
    if not HEADED.match(data):
        return False
    import email

    kinds = {part.get_content_type() for part in email.message_from_bytes(data).walk()}
    return "text/html" in kinds and "text/plain" not in kinds


def _text_parts(mail: Message) -> Iterator[tuple[bytes, str]]:
    """The contents of a mail's texts, and the character set that each says. HTML is another form of the same."""
    for part in mail.walk():
        if part.get_content_maintype() == "text" and part.get_content_subtype() != "html":
            payload = part.get_payload(decode=True)
            content = _without_transport(payload) if isinstance(payload, bytes) else b""
            # The newline before a boundary is the boundary's, and git takes no last line without one.
            yield content + b"\n" * (not content.endswith(b"\n")), part.get_content_charset("utf-8")


def _without_transport(content: bytes) -> bytes:
    """CR before every newline is the mail's: a patch to a file with such lines has others, of its own, without."""
    return content.replace(b"\r\n", b"\n") if content.count(b"\n") == content.count(b"\r\n") else content


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, errors="strict")
    except (LookupError, UnicodeError):
        return content.decode(errors="replace")


def header(mail: Message, name: str) -> str:
    """A header's text: encoded words decoded, and raw UTF-8, which many trees' patches have, taken as it is."""
    import email.header

    raw = next((str(value) for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    text = raw.encode(errors="surrogateescape").decode(errors="replace")
    try:
        return str(email.header.make_header(email.header.decode_header(text))).strip()
    except (UnicodeError, LookupError, ValueError):
        return text.strip()


def _date(text: str) -> str:
    """``<seconds> <zone>``, the form git takes without guessing."""
    import email.utils

    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return ""
    return f"{int(when.timestamp())} {when.strftime('%z') or '+0000'}"
