"""What b4 review is told of one mail."""

import json

import pytest
from test_review_out import FAIL, GOOD, PASS, patches, posting, review

from harness.review import b4, out
from harness.review.matrix import Row, Turn
from harness.review.model import Patch
from harness.review.posting import parse
from harness.runner.checked import Check, Outcome, Result

B4_KEYS = {"tool", "status", "summary", "url", "details"}


def answers(made, mail, folder):
    found = json.loads(b4.encode(b4.answers(made, folder, mail)))
    assert all(answer.keys() <= B4_KEYS and answer["status"] in ("pass", "warn", "fail") for answer in found)
    return {answer["tool"]: answer for answer in found}


@pytest.fixture
def reviews(tmp_path):
    return tmp_path / "results" / "reviews"


def mails():
    return posting().patches


def test_a_patch_is_found_by_what_it_changes(reviews):
    assert b4.find(reviews, mails()[0]) is None
    folder = out.publish(reviews, review())
    found, where = b4.find(reviews, mails()[1])
    assert where == folder
    assert b4.of_mail(found, mails()[1]).number == 2
    assert b4.find(reviews, parse(b"Subject: [PATCH] other\n\nx\n")) is None


def test_a_patch_is_found_in_the_form_in_which_b4_gives_it_on(reviews):
    out.publish(reviews, review())
    data = mails()[1].data.partition(b"\n")[2].rstrip() + b"\n"
    assert b4.of_mail(b4.find(reviews, parse(data))[0], parse(data)).number == 2


def test_a_cover_letter_that_was_never_sent_is_found_by_its_title_and_version(reviews):
    out.publish(reviews, review(title="all of it", message_id="", version=2))
    assert b4.find(reviews, parse(b"Subject: [PATCH v2 0/2] all of it\n\nx\n"))
    assert b4.find(reviews, parse(b"Subject: [PATCH v3 0/2] all of it\n\nx\n")) is None
    assert b4.find(reviews, parse(b"Subject: Re: [PATCH v2 1/2] all of it\n\nx\n")) is None


def test_the_newest_review_answers(reviews):
    out.publish(reviews, review(title="a"))
    out.publish(reviews, review(title="b"))
    assert b4.find(reviews, mails()[0])[0].title == "b"


def test_a_cover_letter_is_found_by_its_message_id(reviews):
    out.publish(reviews, review())
    cover = parse(b"Subject: [PATCH 0/2] x\nMessage-ID: <0@example.org>\n\nx\n")
    found, folder = b4.find(reviews, cover)
    said = answers(found, cover, folder)
    assert (said["lab-build"]["status"], said["lab-build"]["summary"]) == ("pass", "2 patches good")
    assert said["lab-cases"]["status"] == "pass"


def test_a_good_patch(tmp_path):
    said = answers(review(), mails()[1], tmp_path)
    assert {tool: each["status"] for tool, each in said.items()} == {
        "lab-style": "pass", "lab-build": "pass", "lab-boot": "pass", "lab-cases": "pass",
    }  # fmt: skip
    assert said["lab-build"]["summary"] == "apply, warnings, sparse, build: good"
    assert said["lab-cases"]["summary"] == "turns 1 from red to green"
    assert said["lab-build"]["url"] == f"{tmp_path.as_uri()}/report.html#patch-2"
    assert "lab-cases" not in answers(review(), mails()[0], tmp_path)


def test_a_patch_that_does_not_build_or_breaks_a_case(tmp_path):
    broken = (*GOOD[:4], Result(Check.BUILD, Outcome.RED, "error: x"), Result(Check.BOOT, Outcome.NOT_DONE))
    styled = (GOOD[0], Result(Check.STYLE, Outcome.RED, "a long line"), *GOOD[2:])
    row = Row("s", "c", "t", {"without": PASS, "1": FAIL, "2": PASS}, Turn.BROKEN, 2, met=False)
    made = review(patches=patches((styled, broken)), matrix=(row,))
    first, second = (answers(made, mail, tmp_path) for mail in mails())
    assert (first["lab-style"]["status"], first["lab-style"]["details"]) == ("warn", "style:\na long line")
    assert (first["lab-cases"]["status"], first["lab-cases"]["summary"]) == ("fail", "1 not as promised")
    assert (second["lab-build"]["status"], second["lab-build"]["details"]) == ("fail", "build:\nerror: x")
    assert second["lab-boot"]["status"] == "warn"


def test_a_patch_that_does_not_apply(tmp_path):
    one, two = patches()
    refused = Patch(number=1, title=one.title, diff=one.diff, refused="hunk")
    said = answers(review(patches=(refused, two)), mails()[0], tmp_path)
    assert said == {
        "lab-build": {
            "tool": "lab-build", "status": "fail", "summary": "does not apply", "details": "hunk",
            "url": f"{tmp_path.as_uri()}/report.html#patch-1",
        }
    }  # fmt: skip


def test_a_patch_of_a_series_that_nobody_reviewed():
    [answer] = json.loads(b4.encode(b4.not_reviewed(mails()[0])))
    assert (answer["status"], answer["summary"]) == ("warn", "not reviewed yet")
