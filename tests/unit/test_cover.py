"""A cover letter against its series: what is not true any more is told, with its line."""

import pytest

from harness.kernel.cover import Truth, complaints

LETTER = """\
From: lab <lab@localhost>
Subject: [PATCH 0/2] fs: names for the nameless

Why.

lab (2):
  fs: split the checks of a held link source out of linkat, where a long
    title goes on
  fs: link inodes that have no links left

 .../filesystems/relink.rst | 133 ++++++
 fs/namei.c                 |  19 ++-
 2 files changed, 148 insertions(+), 4 deletions(-)
 create mode 100644 Documentation/filesystems/relink.rst


base-commit: ca0760888c4aa87034c105e633fb3016e6322ed4
prerequisite-patch-id: 5cdb74886deac94fd2dea8e3fd85d0023a528653
prerequisite-patch-id: b148b114ae678058245fc80902d9a441f86110b8
"""
TITLES = (
    "fs: split the checks of a held link source out of linkat, where a long title goes on",
    "fs: link inodes that have no links left",
)
STAT = {"Documentation/filesystems/relink.rst": (133, 0), "fs/namei.c": (15, 4)}
BELOW = ("5cdb74886deac94fd2dea8e3fd85d0023a528653", "b148b114ae678058245fc80902d9a441f86110b8")
TRUTH = {"titles": TITLES, "stat": STAT, "base": "ca0760888c4aa87034c105e633fb3016e6322ed4", "below": BELOW}


def said(letter=LETTER, **other):
    found = complaints(letter, "0000-cover-letter.patch", Truth(**(TRUTH | other)))
    return [(each.line, each.text) for each in found]


def test_a_letter_that_is_true():
    assert said() == []


@pytest.mark.parametrize(
    ("other", "line", "words"),
    [
        ({"titles": (TITLES[1], TITLES[0])}, 6, "it lists patch 1 as 'fs: split"),
        ({"titles": TITLES[:1]}, 6, "it speaks of 2 patches, the series has 1"),
        ({"stat": STAT | {"fs/namei.c": (16, 3)}}, 13, "its diffstat has 2 files, +148 -4; it is 2, +149 -3"),
        ({"stat": STAT | {"fs/namei.c": (16, 4)}}, 12, "its diffstat has 19 lines for fs/namei.c; it is 20"),
        (
            {"stat": {"fs/namei.c": (15, 4)}},
            11,
            "its diffstat has .../filesystems/relink.rst, which the series does not",
        ),
        ({"base": "0" * 40}, 17, "its base-commit is ca0760888c4a; the base is 000000000000"),
        ({"below": BELOW[:1]}, 18, "it has 2 of 1"),
        ({"below": (BELOW[0], "0" * 40)}, 18, "number 2 is another"),
    ],
)
def test_what_is_not_true_any_more(other, line, words):
    assert any(at == line and words in text for at, text in said(**other)), said(**other)


def test_a_letter_without_a_list():
    assert said("Subject: x\n\nWhy.\n") == [(1, "it has no list of the patches")]
