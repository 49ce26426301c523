"""The mails of a file, however they were put one behind the other: a mbox, gzipped or not, patch files, saved mails.

mails(Path("series.mbox").read_bytes(), "series.mbox")
"""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from harness import process
from harness.errors import CommandError, UserError
from harness.kernel import git

GZIP = b"\x1f\x8b"
MOST = 512 << 20
"""Bytes that a file of mails may have when it is unpacked: a thread has some megabytes."""
HEADERS = re.compile(rb"^(?:[A-Za-z][A-Za-z0-9-]*: ?.*\n(?:[ \t].*\n)*)+", re.MULTILINE)
ONE_OF_EACH = (rb"^From: ", rb"^Subject: ", rb"^(?:Date|Message-ID): ")
A_PATCH = re.compile(rb"^Subject: *\[[^\]\n]*(?:PATCH|RFC)", re.MULTILINE | re.IGNORECASE)
END_OF_A_PATCH = re.compile(rb"^(?:-- ?|diff --git .*|\+\+\+ .*)$", re.MULTILINE)


def mails(data: bytes, name: str) -> list[bytes]:
    """All mails of a file's contents, in order. ``name`` is for errors. Raises UserError."""
    data = _unpacked(data, name).removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    found = _split(data, name) if data.startswith(b"From ") else [data.replace(b"\r\n", b"\n")]
    return [mail for each in found for mail in _apart(each)]


def _unpacked(data: bytes, name: str) -> bytes:
    """As archives give threads: ``t.mbox.gz``."""
    if not data.startswith(GZIP):
        return data
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(data, MOST)
    except zlib.error as exc:
        raise UserError(f"{name} is not whole: {exc}") from exc
    if not unpacker.eof:
        why = f"has more than {MOST >> 20} MiB in it" if unpacker.unconsumed_tail else "is not whole: it ends too soon"
        raise UserError(f"{name} {why}")
    return text


def _split(data: bytes, name: str) -> list[bytes]:
    """A mbox. git knows a ``From `` line that begins a mail from one of a text."""
    with tempfile.TemporaryDirectory(prefix="lab-mails.") as folder:
        try:
            process.run(["git", "mailsplit", "--mboxrd", f"-o{folder}"], env=git.QUIET, input=data)
        except CommandError as exc:
            raise UserError(f"{name} is no mbox that git can split: {exc.message}") from exc
        return [each.read_bytes() for each in sorted(Path(folder).iterdir())]


def _apart(mail: bytes) -> Iterator[bytes]:
    """Mails that were saved one by one and put together have no ``From `` lines: the next one's header begins it.

    A patch's message may have headers of its own: those of its author at its beginning, those of a mail that it
    quotes further down. So one that begins a mail has text above it, and a patch in that, or in its own subject.
    """
    start, text = 0, mail.find(b"\n") + 1 if mail.startswith(b"From ") else 0
    for found in HEADERS.finditer(mail):
        block = found.group()
        if mail[found.end() : found.end() + 1] != b"\n" or not _is_of_a_mail(block):
            continue
        above = mail[text : found.start()]
        if above.strip() and (END_OF_A_PATCH.search(above) or A_PATCH.search(block)):
            yield mail[start : found.start()]
            start = found.start()
        text = found.end()
    yield mail[start:]


def _is_of_a_mail(block: bytes) -> bool:
    return all(re.search(each, block, re.MULTILINE | re.IGNORECASE) for each in ONE_OF_EACH)
