"""Files of mails, however they were put one behind the other."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.review import intake, mbox
from harness.review.posting import assemble

DATA = Path(__file__).resolve().parents[1] / "data" / "series"
FILES = [path.read_bytes() for path in sorted((DATA / "self-symlink").glob("*.patch"))]
NUMBERS = [0, 1, 2]


def bare(data):
    """A mail as it is saved alone: without mbox's line."""
    return data.partition(b"\n")[2] if data.startswith(b"From ") else data


WAYS = {
    "patch files": b"".join(FILES),
    "patch files of Windows": b"".join(FILES).replace(b"\n", b"\r\n"),
    "saved mails": b"".join(map(bare, FILES)),
    "saved mails with a line between": b"\n".join(map(bare, FILES)),
    "a patch file, then saved mails": FILES[0] + b"".join(map(bare, FILES[1:])),
    "a byte order mark": b"\xef\xbb\xbf" + b"".join(FILES),
    "empty lines first": b"\n\n" + b"".join(FILES),
    "as archives give it": gzip.compress(b"".join(FILES)),
}


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_mails_one_behind_the_other(data, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    found = intake.mails(["-"])
    assert [mail.number for mail in found] == NUMBERS
    assert [patch.title for patch in assemble(found).patches] == [
        "fs: tell a symlink that can only lead to itself",
        "fs: refuse a symlink to its own name",
    ]


@given(st.lists(st.sampled_from([bare(data) for data in FILES]), min_size=1, max_size=6))
def test_any_saved_mails_come_apart_again(mails):
    assert mbox.mails(b"".join(mails), "x") == mails


def test_headers_at_the_beginning_of_a_message_are_the_patchs():
    head, _, body = bare(FILES[1]).partition(b"\n\n")
    mail = head + b"\n\nFrom: A <a@example.org>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: other\n\n" + body
    assert mbox.mails(mail, "x") == [mail]


def test_a_mail_that_a_message_quotes_is_no_mail_of_its_own():
    head, _, body = bare(FILES[1]).partition(b"\n\n")
    quoted = b"Somebody said:\n\nFrom: A <a@example.org>\nDate: now\nSubject: it is broken\n\nIt is.\n\n"
    mail = head + b"\n\n" + quoted + body
    assert mbox.mails(mail, "x") == [mail]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"x" * 100)[:-9], "x.gz is not whole: it ends too soon"),
        (b"\x1f\x8bnonsense", "x.gz is not whole"),
        (gzip.compress(b"x" * 5000), "x.gz has more than 0 MiB in it"),
    ],
)
def test_what_is_zipped_is_held_to_its_size_and_end(data, said, monkeypatch):
    monkeypatch.setattr(mbox, "MOST", 1000)
    with pytest.raises(UserError, match=said):
        mbox.mails(data, "x.gz")


def test_standard_input_without_end(monkeypatch):
    monkeypatch.setattr(mbox, "MOST", 1000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x" * 1001)))
    with pytest.raises(UserError, match="standard input has more than 0 MiB of mails"):
        intake.mails(["-"])


def test_nothing_at_all(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(UserError, match="there is no patch in what was given: no mail at all"):
        assemble(intake.mails(["-"]))
