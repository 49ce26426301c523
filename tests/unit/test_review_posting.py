"""Mails to a series: versions, numbers, cover letter, trailers, replies, the ways in which they come."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import process
from harness.errors import InfraError, UserError
from harness.review import intake
from harness.review.base import said
from harness.review.blobs import wanted
from harness.review.posting import assemble, parse
from harness.review.reply import read_mail

SERIES = Path(__file__).resolve().parents[1] / "data" / "series" / "self-symlink"
DIFF = "diff --git a/fs/a.c b/fs/a.c\nindex 1234567..89abcde 100644\n--- a/fs/a.c\n+++ b/fs/a.c\n@@ -1 +1 @@\n-a\n+{}\n"


def mail(subject, body="Why.\n", *, diff="", ident="1", parents="", date="Thu, 1 Jan 2026 10:00:00 +0000", head=""):
    refs = f"References: {parents}\n" if parents else ""
    return (
        f"From: A Person <a@example.org>\nDate: {date}\nSubject: {subject}\nMessage-ID: <{ident}@example.org>\n"
        f"{refs}{head}\n{body}---\n{diff}"
    ).encode()


def patch(tag, title="fs: a", letter="b", **more):
    return mail(f"[{tag}] {title}", diff=DIFF.format(letter), **more)


def posted(*mails, **more):
    return assemble([parse(each) for each in mails], **more)


def test_a_series_in_any_order():
    found = posted(patch("PATCH 2/2", "two", ident="2"), mail("[PATCH 0/2] all", ident="0"), patch("PATCH 1/2", "one"))
    assert [each.title for each in found.patches] == ["one", "two"]
    assert (found.title, found.author, found.message_id) == ("all", "A Person <a@example.org>", "0@example.org")


def test_the_newest_version_is_taken_and_the_others_are_known():
    mails = [patch("PATCH", "old"), patch("RFC PATCH v3", "new"), patch("PATCH v2 net-next", "middle")]
    assert [posted(*mails).version, posted(*mails).title, posted(*mails).versions] == [3, "new", (1, 2, 3)]
    assert posted(*mails, version=2).title == "middle"
    with pytest.raises(UserError, match="there is no version 4") as caught:
        posted(*mails, version=4)
    assert caught.value.hint == "versions: 1, 2, 3"


def test_a_patch_that_is_missing_is_named():
    with pytest.raises(UserError, match="version 1 has 3 patches, and patch 2 is not among the mails"):
        posted(patch("PATCH 1/3"), patch("PATCH 3/3"))
    assert len(posted(patch("PATCH 1/3"), patch("PATCH 3/3"), partial=True).patches) == 2


def test_of_a_patch_sent_twice_the_later_counts():
    late = patch("PATCH 1/1", letter="late", date="Fri, 2 Jan 2026 10:00:00 +0000")
    found = posted(late, patch("PATCH 1/1", letter="early"))
    assert b"+late" in found.patches[0].diff


def test_mails_without_a_patch():
    with pytest.raises(UserError, match="there is no patch in what was given: 'hello'") as caught:
        posted(mail("hello"))
    assert "--reply" in caught.value.hint


def test_a_patch_sent_twice_that_was_not_the_same_is_told():
    later = "Fri, 2 Jan 2026 10:00:00 +0000"
    found = posted(patch("PATCH 1/1", "one"), patch("PATCH 1/2", "one"), patch("PATCH 1/2", "uno", "c", date=later),
                   patch("PATCH 2/2", "two"))  # fmt: skip
    assert [each.title for each in found.patches] == ["uno", "two"]
    assert found.notes == (
        "left out, as it has no number: [PATCH 1/1] one",
        "patch 1 came twice and was not the same: taken is the later, 'uno'",
    )


def test_two_series_in_one_mbox_are_told_apart():
    mails = [patch("PATCH 1/2", "one"), patch("PATCH 2/2", "two"), patch("PATCH 1/3", "three")]
    with pytest.raises(UserError, match=r"more than one series: '\[PATCH 1/2\] one' is of 2, '.* three' is of 3"):
        posted(*mails)


@pytest.mark.parametrize(
    ("mails", "said", "hint"),
    [
        ([], "no mail at all", "--reply"),
        ([mail("[PATCH 0/2] all")], "'[PATCH 0/2] all'", "a cover letter"),
        ([mail("[PATCH] x", head="Content-Type: text/html\n", diff=DIFF)], "'[PATCH] x'", "HTML"),
        ([mail("a"), mail("b"), mail("c"), mail("d"), mail("e")], "'a', 'b', 'c' and 2 more", "--reply"),
        ([b"\0\xff" * 50], "no mail at all", "--reply"),
    ],
)
def test_what_is_said_of_mails_without_a_patch(mails, said, hint):
    with pytest.raises(UserError) as caught:
        posted(*mails)
    assert caught.value.message == f"there is no patch in what was given: {said}"
    assert hint in caught.value.hint


def test_trailers_of_replies_go_to_what_they_answer():
    found = posted(
        mail("[PATCH 0/2] all", ident="0"),
        patch("PATCH 1/2", "one", ident="1", body="Why.\n\nSigned-off-by: A Person <a@example.org>\n"),
        patch("PATCH 2/2", "two", ident="2"),
        mail("Re: [PATCH 1/2] one", "> Cc: X <x@x>\nReviewed-by: B <b@b>\n", ident="3", parents="<1@example.org>"),
        mail("Re: [PATCH 0/2] all", "Acked-by: C <c@c>\n", ident="4", parents="<0@example.org>"),
        mail("Re: [PATCH 1/2] one", "Tested-by: D <d@d>\n", ident="5", parents="<1@example.org> <3@example.org>"),
    )  # fmt: skip
    one, two = found.patches
    assert one.trailers == (("Signed-off-by", "A Person <a@example.org>"),)
    assert found.given_to(one) == (("Reviewed-by", "B <b@b>"), ("Acked-by", "C <c@c>"))
    assert found.given_to(two) == (("Acked-by", "C <c@c>"),)
    assert len(found.replies) == 3


def test_encoded_headers_and_bodies():
    head = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"
    found = posted(mail("=?utf-8?q?=5BPATCH=5D_fs=3A_caf=C3=A9?=", "caf=C3=A9\n", diff=DIFF.format("b=3D"), head=head))
    assert found.title == "fs: caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert b"+b=\n" in found.patches[0].diff


def test_what_mails_say_of_their_base():
    found = posted(
        mail("[PATCH 0/1] all", f"text\nBased-on: v6.12, with core\nbase-commit: {'ab' * 20}\n", ident="0"),
        patch("PATCH 1/1"),
    )
    assert said(found).commit == "ab" * 20
    assert said(found).based_on == ("v6.12, with core",)
    assert said(posted(patch("PATCH"))).commit == ""


def test_blobs_that_the_patches_want():
    from harness.kernel.series import read_series

    first = next(SERIES.glob("0001-*")).read_text()
    assert wanted(read_series(SERIES)) == {"fs/namei.c": first.partition("index ")[2].partition("..")[0]}


# Where mails come from


def test_a_folder_its_files_and_a_mbox_of_them_are_the_same_series(tmp_path):
    files = sorted(SERIES.glob("*.patch"))
    mbox = tmp_path / "series.mbox"
    mbox.write_bytes(b"".join(path.read_bytes() for path in files))
    ways = [[str(SERIES)], [str(path) for path in reversed(files)], [str(mbox)]]
    found = [assemble(intake.mails(way)) for way in ways]
    assert [[each.diff for each in one.patches] for one in found] == [[each.diff for each in found[0].patches]] * 3
    assert {one.title for one in found} == {"fs: refuse symlinks that lead to themselves"}


def test_a_line_of_a_message_that_begins_with_from_is_no_new_mail(tmp_path):
    mbox = tmp_path / "mbox"
    body = "From what I see it is fine.\n"
    one = b"From 0 Mon Sep 17 00:00:00 2001\n" + patch("PATCH 1/2", body=body)
    mbox.write_bytes(one + b"\nFrom 0 Mon Sep 17 00:00:00 2001\n" + patch("PATCH 2/2", "two"))
    assert [each.title for each in assemble(intake.mails([str(mbox)])).patches] == ["fs: a", "two"]


def test_windows_lines(tmp_path):
    path = tmp_path / "a.eml"
    path.write_bytes(patch("PATCH").replace(b"\n", b"\r\n"))
    assert b"\r" not in assemble(intake.mails([str(path)])).patches[0].diff


def test_a_git_range_says_its_base(tmp_path, monkeypatch):
    def git(*argv):
        who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        return subprocess.run(["git", *who, *argv], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    for word in ("base", "one", "two"):
        (tmp_path / "file").write_text(f"{word}\n")
        git("add", "file")
        git("commit", "-qm", f"commit {word}")
    found = assemble(intake.mails(["HEAD~2..HEAD"], tmp_path))
    assert [each.title for each in found.patches] == ["commit one", "commit two"]
    assert said(found).commit == git("rev-parse", "HEAD~2").strip()
    with pytest.raises(UserError, match="has no commits"):
        intake.mails(["HEAD..HEAD"], tmp_path)
    with pytest.raises(UserError, match="nowhere"):
        intake.mails(["nowhere..HEAD"], tmp_path)


@pytest.mark.parametrize("source", ["20260101.1@example.org", "<x@y>", "https://lore.kernel.org/all/x@y/"])
def test_a_message_id_without_b4(source, monkeypatch):
    monkeypatch.setattr(process, "find", lambda _name: None)
    with pytest.raises(InfraError, match="fetching a thread takes b4") as caught:
        intake.mails([source])
    assert "mbox" in caught.value.hint


def fake_b4(tmp_path, monkeypatch, script):
    program = tmp_path / "bin" / "b4"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    real = process.find
    monkeypatch.setattr(process, "find", lambda name: str(program) if name == "b4" else real(name))


def test_a_thread_by_b4(tmp_path, monkeypatch):
    thread = tmp_path / "thread"
    thread.write_bytes(b"From 0 Mon Sep 17 00:00:00 2001\n" + patch("PATCH"))
    fake_b4(tmp_path, monkeypatch, f'test "$7" = x@y && cp {thread} "$4/$6"\n')
    assert assemble(intake.mails(["<x@y>"])).title == "fs: a"


def test_b4_without_a_network(tmp_path, monkeypatch):
    fake_b4(tmp_path, monkeypatch, "echo 'could not resolve host' >&2; exit 1\n")
    with pytest.raises(InfraError, match=r"b4 could not fetch x@y: .*\n*.*resolve host"):
        intake.mails(["x@y"])


@pytest.mark.parametrize("source", ["--config=x@y", "https://lore.kernel.org/all/-cb4.x=y@z/"])
def test_no_message_id_becomes_an_option_of_b4(tmp_path, monkeypatch, source):
    fake_b4(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(UserError, match="is no file, folder, git range or message-id"):
        intake.mails([source])


def test_of_a_hundred_million_missing_patches_some_are_named():
    with pytest.raises(UserError, match=r"patches 2, 3, .*, 13 and more are not among the mails"):
        posted(patch("PATCH 1/99999999"))


def test_a_source_that_is_nothing(tmp_path):
    with pytest.raises(UserError, match="is no file, folder, git range or message-id"):
        intake.mails([str(tmp_path / "nothing")])
    with pytest.raises(UserError, match=r"has no \*\.patch"):
        intake.mails([str(tmp_path)])


def test_files_are_named_as_format_patch_names_them(tmp_path):
    found = posted(mail("[PATCH 0/1] all", ident="0"), patch("PATCH 1/1", "fs: a/b `c` ../../etc/passwd"))
    intake.store(found, tmp_path / "x")
    names = sorted(path.name for path in (tmp_path / "x").iterdir())
    assert names == ["0000-cover-letter.patch", "0001-fs-a-b-c-..-..-etc-passwd.patch"]


@given(st.binary())
def test_any_mail_is_taken_apart(data):
    found = parse(data)
    assert found.of >= 0
    assert isinstance(found.trailers, tuple)
    assert isinstance(read_mail(data).remarks, tuple)
