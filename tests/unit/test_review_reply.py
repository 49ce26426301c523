"""Review replies: the patch back from its quotation, the remarks where they were made."""

import difflib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.review import quoting
from harness.review.posting import parse
from harness.review.reply import read, read_mail

DATA = Path(__file__).resolve().parents[1] / "data" / "mail"

PATCH = (DATA / "small.patch").read_text()
DIFF = PATCH[PATCH.index("diff --git") :].replace("\n\n", "\n \n")


def quoted(text, mark="> ", after=None, strip=False):
    """``text`` as a reply has it; ``after`` puts a remark behind the line that ends with its key."""
    lines = []
    for line in text.splitlines():
        lines.append((mark + line).rstrip() if strip or not line else mark + line)
        for key, remark in (after or {}).items():
            if line.endswith(key):
                lines += ["", *remark.splitlines(), ""]
    return "\n".join(lines) + "\n"


# The reply of 2010 that the lab was built around: an archive's page, saved as text, quoting with "| ".


@pytest.fixture(scope="module")
def archived():
    return read_mail((DATA / "review-of-2010.txt").read_bytes())


def test_an_archives_page_gives_the_patch_back(archived):
    assert archived.subject == "[PATCH 5/6] [RFC] Checkpoint/restart unlinked files"
    assert archived.author == "Matt Helsley <matthltc@xxxxxxxxxx>"
    assert archived.files == ("fs/checkpoint.c", "fs/namei.c")
    assert archived.hunks == 10
    assert archived.diff.count("\n+") - archived.diff.count("\n+++ ") == 38 + 100
    assert "a_fd = open(" in archived.message
    assert "Cc: Miklos Szeredi <miklos@xxxxxxxxxx>" in archived.message


def test_what_the_page_does_not_quote_is_said(archived):
    assert not archived.whole
    cut, short, *others = archived.missing
    assert "fs/namei.c: a hunk was cut: @@ -2543,6 +2546,105 @@" in cut
    assert cut.endswith("lines missing: 2 or more added, up to 3 of context")
    assert short == "fs/namei.c: 100 changed lines of the 102 that the diffstat has"
    assert [text.split(":")[0] for text in others] == [
        "fs/pipe.c", "include/linux/checkpoint.h", "include/linux/checkpoint_hdr.h", "include/linux/checkpoint_types.h",
    ]  # fmt: skip
    assert not any("fs/checkpoint.c" in text for text in archived.missing)


def test_every_remark_of_the_page_in_order_and_in_its_place(archived):
    found = [(remark.text.split("\n")[0][:30], remark.where.shown) for remark in archived.remarks]
    assert found == [
        ("I can see how relinking the fi", "commit message"),
        ("You may want to mention here t", "commit message"),
        ("s/couple/couple of/", "commit message"),
        ("Hmm, what file name will be ch", "fs/checkpoint.c:217, generic_file_checkpoint()"),
        ("nit: s/restore_unlinked/unlink", "fs/checkpoint.c:575, restore_open_fname()"),
        ("Hmm, is there a reason we need", "fs/checkpoint.c:593, restore_open_fname()"),
        ("nit: how about moving this unl", "fs/checkpoint.c:614, restore_open_fname()"),
        ("nit: long line", "fs/checkpoint.c:720, generic_file_restore()"),
        ("nit. since it is a static func", "fs/namei.c:2554, checkpoint_fill_relink_fname()"),
        ("nit. since the function name h", "fs/namei.c:2559, checkpoint_fill_relink_fname()"),
        ("we could simplify the 'if-else", "fs/namei.c:2580, checkpoint_fill_relink_fname()"),
        ("Since the format is dependent ", "fs/namei.c:2587, checkpoint_fill_relink_fname()"),
        ("s/which/which is/", "fs/namei.c:2601, checkpoint_file_relink()"),
        ("nit: long line", "fs/namei.c:2605, checkpoint_file_relink()"),
        ("nit: a blank line here might h", "fs/namei.c:2607, checkpoint_file_relink()"),
        ("nit: long line", "fs/namei.c:2614, checkpoint_file_relink()"),
        ("nit: some blank lines separati", "fs/namei.c:2645, checkpoint_file_links()"),
    ]


def test_a_remark_keeps_its_paragraphs_and_code(archived):
    text = archived.remarks[11].text
    assert text.endswith("\treturn sprintf(...);\n\t}")
    assert "\n\nInstead how about a function" in text


def test_signature_and_footer_are_no_remarks(archived):
    said = "\n".join(remark.text for remark in archived.remarks)
    assert not any(word in said for word in ("Sukadev", "unsubscribe", "Index of Archives", "Powered", "Date Prev"))


# The ways people quote


@pytest.mark.parametrize("mark", ["> ", ">", "| ", ">> ", "> > ", "|", "AP> ", ": "])
@pytest.mark.parametrize("strip", [False, True], ids=["as it is", "stripped"])
def test_marks(mark, strip):
    reply = read(quoted(PATCH, mark, {"four();": "not five?"}, strip))
    assert reply.diff == DIFF
    assert reply.whole
    [remark] = reply.remarks
    assert (remark.text, remark.where.shown) == ("not five?", "fs/a.c:13, first()")


@pytest.mark.parametrize(
    "attribution",
    [
        "On Thu, Jan 1, 2026 at 10:00:00AM +0100, A Person wrote:",
        "On 01/01/2026 10:00, A Person wrote:",
        "On Thu, Jan 1, 2026 at 10:00 AM A Person <a@example.org>\nwrote:",
        "A Person <a@example.org> writes:",
        "A Person [a@example.org] wrote:",
        "Am Do., 1. Jan. 2026 um 10:00 Uhr schrieb A Person <a@example.org>:",
        "Le jeu. 1 janv. 2026 à 10:00, A Person <a@example.org> a écrit :",
    ],
)
def test_attribution_lines_are_no_remarks(attribution):
    reply = read(f"{attribution}\n{quoted(PATCH)}\nFine with me.\n\n-- \nB\n", "Re: [PATCH v2 1/3] fs: a")
    assert [remark.text for remark in reply.remarks] == ["Fine with me."]
    assert reply.subject == "[PATCH v2 1/3] fs: a"


def test_a_trailer_is_given_and_no_remark():
    text = quoted(PATCH, after={"+\tfour();": "x"})
    reply = read(f"{text}\nWith that:\nReviewed-by: B <b@example.org>\n\n-- \nB\n")
    assert [remark.text for remark in reply.remarks] == ["x", "With that:"]
    assert reply.trailers == (("Reviewed-by", "B <b@example.org>"),)


def test_an_earlier_reviewers_words_between_are_a_remark():
    text = quoted(PATCH, "> > ").replace("> > +\tfive();\n", "> > +\tfive();\n> why five?\n\nBecause.\n\n")
    reply = read(text)
    assert reply.diff == DIFF
    assert [remark.text for remark in reply.remarks] == ["> why five?\n\nBecause."]


@pytest.mark.parametrize("snip", ["[...]", "<snip>", "[ snip ]", "...", "> [...]", "> [snip]", "--- 8< ---"])
def test_a_snipped_hunk_is_said_to_be_one(snip):
    text = quoted(PATCH, after={"+\tfour();": "x"}).replace("> +\tfive();\n>  \tsix();\n", f"{snip}\n")
    reply = read(text)
    assert [remark.text for remark in reply.remarks] == ["x"]
    [cut, count] = reply.missing
    assert cut.startswith("fs/a.c: a hunk was cut after its line 5: @@ -10,6 +10,7 @@")
    assert cut.endswith("1 or more added, up to 1 of context")
    assert count == "fs/a.c: 2 changed lines of the 3 that the diffstat has"


def test_a_hunk_left_out_shows_by_those_behind_it():
    second = PATCH.replace(" 1 file", " 1 file") + "@@ -100,2 +103,2 @@\n-\told();\n+\tnew();\n \tend();\n"
    reply = read(quoted(second.replace(" fs/a.c | 3 ++-\n", "")))
    assert reply.missing == ("fs/a.c: a hunk is missing before @@ -100,2 +103,2 @@",)


def test_a_removed_line_that_looks_like_a_header_is_content():
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,1 @@\n--- a/../y\n z\n"
    reply = read(quoted(diff))
    assert reply.diff == diff
    assert reply.files == ("x",)


def test_a_patch_without_gits_headers():
    diff = "--- a/x\t2026-01-01\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\n+b\n--- a/y\n+++ b/y\n@@ -1,1 +1,1 @@\n-c\n+d\n"
    reply = read(quoted(diff))
    assert reply.diff == diff
    assert reply.files == ("x", "y")


def test_a_mail_in_base64():
    import base64

    body = base64.encodebytes(quoted(PATCH, after={"four();": "hm"}).encode()).decode()
    head = "From: B <b@example.org>\nSubject: Re: [PATCH] fs: a\nContent-Type: text/plain; charset=utf-8\n"
    reply = read_mail(f"{head}Content-Transfer-Encoding: base64\n\n{body}".encode())
    assert reply.diff == DIFF
    assert (reply.subject, reply.remarks[0].text) == ("[PATCH] fs: a", "hm")


def test_a_mail_that_quotes_no_patch():
    reply = read("On x, A <a@b> wrote:\n> text\n\nThanks!\n")
    assert (reply.files, reply.diff) == ((), "")
    assert [remark.text for remark in reply.remarks] == ["Thanks!"]


# Round trip

words = st.text(st.characters(codec="ascii", exclude_categories=("C",)), min_size=1, max_size=20)
lines = st.lists(st.one_of(words, st.just(""), st.just("\tx();")), min_size=3, max_size=30)


def is_remark(text):
    """Whether a line of a reviewer can be told from all else: no mark, no snip, no attribution, no mail header."""
    if text != text.rstrip() or text[:1] in "> |:}" or ">" in text or "|" in text or "wrote" in text:
        return False
    kinds = {line.of for line in quoting.classified(quoted(PATCH) + text + "\n> x\n") if line.text == text}
    return bool(text.strip()) and kinds == {quoting.Of.REVIEWER} and not quoting.SIGNATURE.match(text)


@given(
    before=lines,
    after=lines,
    remarks=st.lists(st.tuples(st.integers(0, 200), words.filter(is_remark)), max_size=5),
    mark=st.sampled_from(["> ", "| ", ">> ", "> > "]),
)
def test_any_patch_and_any_remarks_come_back(before, after, remarks, mark):
    body = list(difflib.unified_diff(before, after, "a/fs/a.c", "b/fs/a.c", lineterm=""))
    if not body:
        return
    patch = ["diff --git a/fs/a.c b/fs/a.c", *body]
    places = {}
    for place, text in remarks:
        places.setdefault(place % len(patch), text)
    mailed = []
    for at, line in enumerate(patch):
        mailed.append(mark + line)
        mailed += ["", places[at], ""] if at in places else []
    reply = read("\n".join(mailed) + "\n")
    assert reply.diff == "".join(f"{line}\n" for line in patch)
    assert [remark.text for remark in reply.remarks] == [places[at] for at in sorted(places)]
    assert reply.whole
    for remark, at in zip(reply.remarks, sorted(places), strict=True):
        if remark.where.patch_line:
            assert patch[remark.where.patch_line - 1] == patch[at]


@pytest.mark.parametrize(
    "line",
    [">" * 26 + "x", "| " * 24 + "x", "[" * 20_000, "On " + "a, " * 7_000, "-" * 20_000 + "x", "On " + " " * 20_000],
    ids=["marks", "spaced marks", "brackets", "commas", "dashes", "blanks"],
)
def test_a_hostile_line_costs_no_time(line):
    """A line of nothing but marks took time that doubled with each."""
    body = quoted(DIFF) + f"\n{line}\n" * 3
    began = time.process_time()
    read_mail(f"From: a@b\nSubject: Re: {line}\n\n{body}".encode())
    read(f"Nothing quoted.\n{line}\n")
    parse(f"From: a@b\nSubject: {line}\n\n{body}".encode())
    assert time.process_time() - began < 3


def test_a_line_of_marks_is_a_remark_of_its_own():
    reply = read_mail(f"From: a@b\nSubject: Re: [PATCH] x\n\n{quoted(DIFF)}\n>>>>>>> theirs\n".encode())
    assert [remark.text for remark in reply.remarks] == [">>>>>>> theirs"]


def test_an_attribution_is_known_by_where_it_stands():
    """The same line a second time is followed by something else."""
    start = "On Mon, 5 Jan 2026 at 10:00, A Person"
    body = f"{start}\n<a@b> wrote:\n{quoted(DIFF)}\n{start}\nsaid nothing of it.\n"
    remarks = read_mail(f"From: a@b\nSubject: Re: [PATCH] x\n\n{body}".encode()).remarks
    assert [remark.text for remark in remarks] == [f"{start}\nsaid nothing of it."]
