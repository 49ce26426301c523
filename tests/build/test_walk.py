"""A toy series walked patch by patch: each mistake is found at the patch that makes it, and the walk goes on."""

import shutil

import pytest

from harness.catalogue.model import Excuse, Rules
from harness.errors import UserError
from harness.paths import Workspace
from harness.runner.checked import Check, Outcome
from harness.runner.prepare import Place, Wishes
from harness.runner.walk import declared, from_files, walk

WITHOUT_GUEST = tuple(check for check in Check if check is not Check.BOOT)
needs_sparse = pytest.mark.skipif(not shutil.which("sparse"), reason="sparse is not installed")


class Seen:
    """A watcher that writes down."""

    def __init__(self):
        self.results, self.stages = [], []

    def step(self, step):
        self.stages.append(step.stage)

    def checking(self, patch, check, done, total):
        assert done < total

    def checked(self, patch, result, done, total):
        self.results.append((patch.number, result.check.value, result.outcome.value))


@pytest.fixture
def series(toy):
    """Walks the toy's series ``core``; returns report and watcher."""

    def go(only=WITHOUT_GUEST, rules=None):
        place = Place(Workspace(toy.root), toy.catalogue(), toy.cache)
        walked = declared(place, "core")
        assert walked.patches
        object.__setattr__(walked, "rules", rules or Rules(excuses=(NUMBER,)))
        seen = Seen()
        return walk(place, walked, Wishes(), seen, only), seen

    return go


NUMBER = Excuse(kind="SUBJECT", reason="the toy's mails say n/9")


def reds(report):
    return [
        (row.patch.number, result.check.value, result.note.splitlines()[0])
        for row in report.rows
        for result in row.results
        if result.outcome is Outcome.RED
    ]


def not_done(report):
    return [
        (row.patch.number, each.check.value)
        for row in report.rows
        for each in row.results
        if each.outcome == "not done"
    ]


def test_a_good_series_is_good_and_the_second_walk_asks_nobody(toy, series):
    toy.patch(1, "fs: link", {"fs/namei.c": ("return -2;", "return 7;")})
    toy.patch(2, "lib: new file", {"lib/new.c": (None, "int toy_new;\n")})
    report, _ = series(only=(Check.APPLY, Check.STYLE, Check.WARNINGS, Check.BUILD))
    assert reds(report) == []
    assert report.good
    assert "lib/new.o" in report.rows[1].of(Check.WARNINGS).note
    again, seen = series(only=(Check.APPLY, Check.STYLE, Check.WARNINGS, Check.BUILD))
    assert again.good
    assert seen.stages == []


def test_a_patch_that_does_not_apply_is_left_out_and_the_walk_goes_on(toy, series):
    toy.patch(1, "fs: link", {"fs/namei.c": ("return -2;", "return 7;")})
    toy.raw_patch(2, "fs: elsewhere", "--- a/fs/namei.c\n+++ b/fs/namei.c\n@@ -1,1 +1,1 @@\n-int gone;\n+int here;\n")
    toy.patch(3, "init: more", {"init/main.c": ("void start_kernel", "int toy_more;\nvoid start_kernel")})
    report, _ = series(only=(Check.APPLY, Check.STYLE, Check.BUILD))
    [(number, check, note)] = reds(report)
    assert (number, check) == (2, "apply")
    assert "0002-fs:-elsewhere.patch" in note
    assert not_done(report) == [(2, "build")]
    assert report.rows[1].of(Check.STYLE).outcome is Outcome.GOOD
    assert [patch.number for patch in report.rows[2].stack] == [1, 3]


def test_a_patch_that_does_not_compile_says_how_and_the_next_may_mend_it(toy, series):
    toy.patch(1, "fs: broken", {"fs/namei.c": ("return -2;", "return nowhere;")})
    toy.raw_patch(
        2, "fs: mended",
        "--- a/fs/namei.c\n+++ b/fs/namei.c\n@@ -8,4 +8,4 @@\n int toy_link(void)\n {\n"
        "-\treturn nowhere;\n+\treturn 2;\n }\n",
    )  # fmt: skip
    report, _ = series(only=(Check.APPLY, Check.WARNINGS, Check.BUILD))
    assert [(number, check) for number, check, _ in reds(report)] == [(1, "warnings"), (1, "build")]
    build = report.rows[0].of(Check.BUILD)
    assert "nowhere" in build.note
    assert "fs/namei.c:10:" in build.note
    assert build.log
    assert report.rows[1].good


def test_only_a_warning_that_was_not_there_counts(toy, series):
    toy.patch(1, "fs: first", {"fs/namei.c": ("int toy_link(void)\n{", "int toy_link(void)\n{\n\tint one;\n")})
    toy.patch(2, "init: other", {"init/main.c": ("void start_kernel", "int toy_more;\nvoid start_kernel")})
    first = toy.root / "kernel-patches/core/0001-fs:-first.patch"
    text = first.read_text()
    report, _ = series(only=(Check.WARNINGS,))
    [(number, _, note)] = reds(report)
    assert number == 1
    assert "unused variable" in note
    assert note.startswith("fs/namei.c:10: warning:")
    assert note.endswith("[-Wunused-variable]")
    first.write_text(text.replace("+\tint one;", "+\tint one = 1; (void)one;"))
    assert reds(series(only=(Check.WARNINGS,))[0]) == []


def test_a_header_is_judged_by_the_sources_of_the_series_that_include_it(toy, series):
    toy.patch(
        1,
        "toy: helper",
        {"include/toy.h": ("int toy_length", "static int toy_helper(void) { return 0; }\nint toy_length")},
    )
    toy.patch(2, "fs: link", {"fs/namei.c": ("return -2;", "return 7;")})
    report, _ = series(only=(Check.WARNINGS,))
    [(number, _, note)] = reds(report)
    assert number == 1
    assert note.startswith("include/toy.h:")
    assert "-Wunused-function" in note


@needs_sparse
def test_sparse_sees_what_gcc_does_not(toy, series):
    toy.patch(
        1,
        "fs: null",
        {
            "fs/namei.c": (
                "int toy_link(void)",
                "char *toy_none(void);\nchar *toy_none(void)\n{\n\treturn 0;\n}\n\nint toy_link(void)",
            )
        },
    )
    report, _ = series(only=(Check.WARNINGS, Check.SPARSE))
    [(number, check, note)] = reds(report)
    assert (number, check) == (1, "sparse")
    assert "Using plain integer as NULL pointer" in note


def test_checkpatch_is_the_bases_and_what_the_series_explains_is_explained(toy, series):
    toy.patch(1, "toy: silence", {"scripts/checkpatch.pl": ("print ", "0 and print ")})
    toy.patch(2, "fs: space", {"fs/namei.c": ("return -2;", "return 7; ")})
    report, _ = series(only=(Check.STYLE,))
    assert reds(report) == [(2, "style", "fs/namei.c:10: error: trailing whitespace [TRAILING_WHITESPACE]")]
    rules = Rules(excuses=(NUMBER, Excuse(kind="TRAILING_WHITESPACE", patch="0002-*", reason="a table")))
    report, _ = series(only=(Check.STYLE,), rules=rules)
    assert report.good
    assert report.rows[1].of(Check.STYLE).findings[0].excused == "a table"


def test_an_excuse_that_nothing_needs_is_told_when_all_was_looked_at(toy, series, monkeypatch):
    toy.patch(1, "fs: link", {"fs/namei.c": ("return -2;", "return 7;")})
    rules = Rules(excuses=(NUMBER, Excuse(kind="LONG_LINE", reason="a table")))
    assert series(only=(Check.STYLE,), rules=rules)[0].idle == ()
    monkeypatch.setattr("harness.runner.walk.ALL", (Check.APPLY, Check.STYLE))
    report, _ = series(only=(Check.APPLY, Check.STYLE), rules=rules)
    assert report.idle == ("LONG_LINE (patch *, file *)",)
    assert not report.good


def test_with_the_option_off_only_touched_functions_may_differ(toy, series):
    toy.write("kernel-patches/core/series.config", "CONFIG_TOY_ABSENT=y\n")
    flag = "#ifdef CONFIG_TOY_ABSENT\n#define RESULT 7\n#else\n#define RESULT {}\n#endif\n"
    used = {"fs/namei.c": ("return -2;", "return RESULT;")}
    head = "int toy_length"
    toy.patch(1, "toy: option", {"include/toy.h": (head, flag.format(-2) + head)} | used)
    toy.patch(2, "fs: other", {"fs/namei.c": ("return -2;\n}\n\nint", "return -2;\n}\n\n/* More. */\n\nint")})
    second = toy.root / "kernel-patches/core/0002-fs:-other.patch"
    second.write_text(second.read_text().replace(" \treturn -2;", " \treturn RESULT;"))
    rules = Rules(off=("CONFIG_TOY_ABSENT",))
    report, _ = series(only=(Check.APPLY, Check.OFF), rules=rules)
    assert reds(report) == []
    toy.patch(1, "toy: option", {"include/toy.h": (head, flag.format(-3) + head)} | used)
    report, _ = series(only=(Check.APPLY, Check.OFF), rules=rules)
    assert reds(report) == []  # the line that uses it was touched
    first = toy.root / "kernel-patches/core/0001-toy:-option.patch"
    first.unlink()
    toy.patch(1, "toy: use", used | {"include/toy.h": (head, flag.format(-2) + head)})
    toy.raw_patch(
        2, "fs: other",
        "--- a/include/toy.h\n+++ b/include/toy.h\n@@ -1,5 +1,5 @@\n #ifdef CONFIG_TOY_ABSENT\n"
        " #define RESULT 7\n #else\n"
        "-#define RESULT -2\n+#define RESULT -3\n #endif\n",
    )  # fmt: skip
    report, _ = series(only=(Check.APPLY, Check.OFF), rules=rules)
    [(number, check, note)] = reds(report)
    assert (number, check) == (2, "off")
    assert "toy_link() has" in note
    assert note.endswith("with CONFIG_TOY_ABSENT off [OFF]")


def test_a_subject_without_an_area_and_a_letter_that_is_not_true(toy, series):
    toy.patch(1, "link more.", {"fs/namei.c": ("return -2;", "return 7;")})
    stat = " fs/namei.c | 3 +-\n 1 file changed, 2 insertions(+), 1 deletion(-)\n"
    letter = f"Subject: [PATCH 0/1] x\n\nlab (1):\n  fs: link more\n\n{stat}"
    toy.write("kernel-patches/core/0000-cover-letter.patch", letter)
    report, _ = series(only=(Check.STYLE,), rules=Rules())
    told = [finding.text for finding in report.rows[0].of(Check.STYLE).findings]
    assert told == [
        "the subject does not begin with an area, as in \"ext4: ...\": 'link more.'",
        "the subject ends with a full stop: 'link more.'",
        "the subject says 1/9; it is patch 1 of 1",
    ]
    assert [finding.text for finding in report.cover.findings] == [
        "it lists patch 1 as 'fs: link more', which is 'link more.'",
        "its diffstat has 1 files, +2 -1; it is 1, +1 -1",
        "its diffstat has 3 lines for fs/namei.c; it is 2",
    ]
    assert not report.good


def test_patches_given_as_files_stand_on_a_base_and_what_they_require(toy):
    toy.patch(1, "fs: link", {"fs/namei.c": ("return -2;", "return 7;")})
    patch = toy.patch(
        1, "init: more", {"init/main.c": ("void start_kernel", "int toy_more;\nvoid start_kernel")}, "other"
    )
    place = Place(Workspace(toy.root), toy.catalogue(), toy.cache)
    walked = from_files(place, [patch], "toy", ["core"], quarantine="mail")
    report = walk(place, walked, Wishes(), Seen(), (Check.APPLY, Check.BUILD))
    assert report.good
    assert [applied.series for applied in walked.below] == ["core"]
    with pytest.raises(UserError, match="there is no base 'six'"):
        from_files(place, [patch], "six")
    with pytest.raises(UserError, match="there is no series 'cor'"):
        from_files(place, [patch], "toy", ["cor"])
