"""What a series answers to earlier remarks: tables read, held against a review, found beside a reviewer's words."""

from pathlib import Path

import pytest

from harness.catalogue.model import Status
from harness.review import answers
from harness.review.answers import Standing, Told
from harness.review.matrix import Cell, Row, Turn
from harness.review.reply import read_mail

ROOT = Path(__file__).resolve().parents[2]
TITLES = {1: "fs: tell a loop", 2: "fs: refuse a symlink to its own name", 4: "doc"}
DECLARED = ("loops/own_name", "loops/other_name")
TEXT = """\
# Answers

Some words, and a table that is none of ours:

| day | weather |
|---|---|
| one | rain |

| # | Remark | here | where | cases | by |
|---|---|---|---|---|---|
| 1 | "why not `strcmp()` \\| `strncmp()`?" | a name has no end | 1, 2 (both) | `loops/own_name` | R |
| 2 | typo | | | | |

## Open

| what |
|---|
| a loop of two |
"""


def row(case="own_name", *, met=True, scenario="ext4-loops"):
    cell = Cell(Status.PASS, "PASS", True)
    return Row(scenario, case, "t", {"2": cell}, Turn.AS_CLAIMED if met else Turn.LATE, 2, 2, met)


def held(told, *rows):
    [answer] = answers.hold([told], TITLES, rows, DECLARED)
    return answer


def test_tables_with_a_column_of_remarks_are_read_and_others_are_not():
    first, second, third = answers.read(TEXT)
    assert first == Told(
        "Answers", '"why not `strcmp()` | `strncmp()`?"', "a name has no end", "1, 2 (both)", "`loops/own_name`"
    )
    assert (second.remark, second.answer) == ("typo", "")
    assert (third.heading, third.remark) == ("Open", "a loop of two")


@pytest.mark.parametrize(
    ("where", "patches", "note"),
    [
        ("1, 4", (1, 4), ""),
        ("1-2", (1, 2), ""),
        ("patches 1 - 2, cover", (1, 2), ""),
        ("4 (of old: 5, 6), core 18, all", (4,), ""),
        ("`fs: *`", (1, 2), ""),
        ("3, 2", (2,), "no patch 3"),
        ("`fs: gone`", (), "no patch 'fs: gone'"),
    ],
)
def test_patches_are_named_by_number_or_subject(where, patches, note):
    answer = held(Told(remark="r", where=where))
    assert (answer.patches, answer.note) == (patches, note)
    assert answer.standing is (Standing.ASTRAY if note else Standing.SAID)


@pytest.mark.parametrize("name", ["loops/own_name", "ext4-loops/own_name", "loops/own*", "*-loops/own_name"])
def test_cases_are_named_on_any_filesystem_or_on_one(name):
    told = Told(remark="r", cases=f"`{name}`")
    assert held(told).standing is Standing.NOT_RUN
    assert held(told, row("other_name")).standing is Standing.NOT_RUN
    assert held(told, row()).standing is Standing.SHOWN
    assert held(told, row()).runs == ("ext4-loops/own_name",)


def test_a_case_that_does_not_do_what_it_must_contradicts_its_answer():
    answer = held(Told(remark="r", where="2", cases="`loops/*`"), row("other_name"), row(met=False))
    assert (answer.standing, answer.note) == (Standing.CONTRADICTED, "ext4-loops/own_name: late")


def test_a_case_that_nobody_declares_is_no_evidence():
    answer = held(Told(remark="r", cases="`loops/own_nam`"), row())
    assert (answer.standing, answer.note) == (Standing.ASTRAY, "loops/own_nam")


@pytest.mark.parametrize("told", [Told("Open", "r", "later"), Told("x", "r", status="open", where="2"), Told("x", "r")])
def test_what_is_open(told):
    assert held(told).standing is Standing.OPEN


@pytest.mark.parametrize(
    ("remark", "found"),
    [
        ('"why not strcmp" asks R', True),
        ('"why NOT,\nstrcmp()"', True),
        ("s/which/which is/", True),
        ('"not"', False),  # one word stands in too many remarks
        ('"ot strcm"', False),
        ("something else", False),
    ],
)
def test_a_remark_is_found_by_its_words(remark, found):
    held = (answers.Answer(remark=remark),)
    assert bool(answers.to("Hmm, why not\n strcmp() ?\ns/which/which is/", held)) is found


def test_the_series_here_answers_every_remark_of_2010():
    told = answers.read((ROOT / "kernel-patches" / "checkpoint-relink" / "REVIEW.md").read_text())
    held = [answers.Answer(remark=each.remark, answer=each.answer) for each in told]
    remarks = read_mail((ROOT / "tests" / "data" / "mail" / "review-of-2010.txt").read_bytes()).remarks
    assert len(remarks) > 15
    assert [each.text for each in remarks if not any(answer.answer for answer in answers.to(each.text, held))] == []
