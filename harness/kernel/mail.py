"""A patch file as the mail it is: subject, author, message, body. A bare diff is a mail without headers."""

from __future__ import annotations

import email
import email.header
import email.utils
import re
from dataclasses import dataclass
from email.message import Message

HEADED = re.compile(rb"\A(?:From [0-9a-f]{7,} |[A-Za-z-]+: )")
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
        name, address = email.utils.parseaddr(self.author)
        if not address:
            return {}
        named = {"GIT_AUTHOR_NAME": name or address, "GIT_AUTHOR_EMAIL": address}
        return named | ({"GIT_AUTHOR_DATE": self.date} if self.date else {})


def read(data: bytes) -> Letter:
    """Take a patch file apart. Never fails: what cannot be understood is left empty."""
    if not HEADED.match(data):
        return Letter("", "", "", "", data)
    mail = email.message_from_bytes(data)
    body = b"".join(_text_parts(mail))
    text = body.decode(errors="surrogateescape").replace("\r\n", "\n")
    author = _header(mail, "From")
    inner = re.match(r"\s*From: (.+)\n", text)
    if inner:
        author, text = inner.group(1).strip(), text[inner.end() :]
    end = END_OF_MESSAGE.search(text)
    message = text[: end.start()] if end else text
    subject = " ".join(TAGS.sub("", _header(mail, "Subject")).split())
    return Letter(subject, author, _date(_header(mail, "Date")), message.strip(), body)


def _text_parts(mail: Message) -> list[bytes]:
    parts = mail.walk() if mail.is_multipart() else [mail]
    found: list[bytes] = []
    for part in parts:
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            found.append(payload if isinstance(payload, bytes) else b"")
    return found


def _header(mail: Message, name: str) -> str:
    """A header's text: encoded words decoded, and raw UTF-8, which many trees' patches have, taken as it is."""
    raw = next((str(value) for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    text = raw.encode(errors="surrogateescape").decode(errors="replace")
    try:
        return str(email.header.make_header(email.header.decode_header(text))).strip()
    except (UnicodeError, LookupError, ValueError):
        return text.strip()


def _date(text: str) -> str:
    """``<seconds> <zone>``, the form git takes without guessing."""
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return ""
    return f"{int(when.timestamp())} {when.strftime('%z') or '+0000'}"
