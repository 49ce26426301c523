"""What a review leaves for people and machines: report, mail, JUnit, KCIDB; from one review in which much is wrong."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import kcidb_io
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.model import Status
from harness.kernel.findings import Finding
from harness.results.model import Kernel, Sandbox, Tools
from harness.review import figures, html, intake, letter, out, text, view
from harness.review.matrix import Cell, Row, Turn
from harness.review.model import Added, Cost, Coverage, Flaky, Patch, Ran, Review, Said
from harness.review.posting import assemble
from harness.runner.checked import Check, Outcome, Result

SERIES = Path(__file__).resolve().parents[1] / "data" / "series" / "self-symlink"
PASS, FAIL = (
    Cell(Status.PASS, "PASS", True, "run/cases/1/c"),
    Cell(Status.FAIL, "FAIL (success)", False, "run/cases/w/c"),
)
OOPS = Cell(
    Status.FAIL, "FAIL oops (<b>bold</b>)", False, "run/cases/2/c", "it oopsed",
    (("BUG: unable to handle page fault", "RIP: 0010:do_symlinkat+0x1/0x2", "\x1b[31m</pre><script>x</script>"),),
)  # fmt: skip
GOOD = tuple(Result(check, Outcome.GOOD) for check in Check)


def posting():
    return assemble(intake.mails([str(SERIES)]))


def patches(results=(GOOD, GOOD)):
    return tuple(
        Patch(number=at, title=mail.title, author=mail.author, message=mail.text.partition("---")[0],
              diff=mail.diff.decode(), results=own, message_id=f"{at}@example.org")
        for (at, mail), own in zip(enumerate(posting().patches, 1), results, strict=True)
    )  # fmt: skip


def line(at, *cases, patch=1, function="leads_to_itself"):
    return Added(file="fs/namei.c", line=at, at=at, patch=patch, text="x", function=function, cases=cases)


def remark(text, line):
    return Said(number=1, author="R", text=text, place=f"fs/namei.c:{line}", file="fs/namei.c", line=line)


def review(**given):
    mails = posting()
    values = {
        "title": mails.title, "author": "A <a@example.org>", "message_id": "0@example.org", "cover": mails.cover.text,
        "base": "6.12 + <core>", "why_base": "1 of 1 files are as the patches want them",
        "created": "2026-11-25T13:00:00Z", "argv": ("lab", "review", "a series.mbox"), "patches": patches(),
        "matrix": (Row("ext4-loops", "own_name", "t", {"without": FAIL, "1": FAIL, "2": PASS}, Turn.AS_CLAIMED, 2, 2),),
        "tools": Tools(compiler="gcc 12", qemu="QEMU 7.2 (Debian)", host="h"), "accel": "tcg (why)",
        "sandbox": Sandbox(used=True), "kernels": (Kernel(state="with", key="abcdef1", label="6.12 + x"),),
    }  # fmt: skip
    return Review(**{**values, **given})


@pytest.fixture
def bad():
    """A review with a kernel that does not build, an oops, a missed line, a remark, a rate that differs."""
    broken = (*GOOD[:4], Result(Check.BUILD, Outcome.RED, "fs/namei.c:1:2: error: <no> such thing", seconds=1.5),
              Result(Check.BOOT, Outcome.NOT_DONE, "there is no kernel"))  # fmt: skip
    style = (
        GOOD[0],
        Result(Check.STYLE, Outcome.RED, findings=(Finding("fs/namei.c", 3, "warning", "LONG_LINE", "long"),)),
    )
    return review(
        patches=patches((style, broken)),
        matrix=(
            Row("ext4-loops", "own_name", "t", {"without": FAIL, "1": OOPS}, Turn.UNKNOWN, 0, 2, met=False),
            Row("ext4-loops", "kept", "t", {"without": PASS, "1": PASS}, Turn.KEPT),
        ),
        not_run=(("2", "build"),),
        notes=("the mail says base-commit: 1, which no tree here has",),
        remarks=(
            remark("why not\n\nstrcmp()? <i>", 4694),
            remark("on a line that is not shown", 1),
            Said(number=2, author="R", text="typo in the message", place="commit message"),
            Said(number=0, author="R", text="nice series", place="in general"),
        ),
        coverage=Coverage(
            lines=(
                line(4692, "ext4-loops/own_name"), line(4693), line(4694), line(4713, patch=2, function="do_symlinkat"),
            ),
            not_measured=(("Documentation/x.rst", "no C file of the kernel"),),
        ),
        costs=(Cost(scenario="ext4-cost", case="open", name="open", before=1000, after=1010),),
        flaky=(
            Flaky(scenario="ext4-loops", case="own_name", failed_before=0, failed_after=90, runs=100),
            Flaky(scenario="ext4-loops", case="kept", failed_before=0, failed_after=0, runs=100),
        ),
        runs=(Ran(scenario="ext4-loops", folder="none"),),
    )  # fmt: skip


def test_the_page_needs_no_network_and_no_text_gets_out_of_its_place(bad):
    page = html.render(bad)
    assert "<script" not in page
    assert "&lt;/pre&gt;&lt;script&gt;" in page
    assert "<b>bold" not in page
    assert "6.12 + &lt;core&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_shows_remarks_and_coverage_beside_the_lines(bad):
    [file] = view.files(bad, bad.patches[0])
    lines = {each.new: each for hunk in file.hunks for each in hunk.lines if each.kind == "add"}
    assert [each.text for each in lines[4694].remarks] == ["why not\n\nstrcmp()? <i>"]
    assert {number: each.coverage for number, each in lines.items() if each.coverage} == {
        4692: "run", 4693: "missed", 4694: "missed",
    }  # fmt: skip
    assert [each.text for each in file.loose] == ["on a line that is not shown"]
    assert (file.run, file.executable) == (1, 3)
    page = html.render(bad)
    for said in ("on a line that is not shown", "typo in the message", "nice series", "run by no case"):
        assert said in page


def test_the_page_of_many_cases_begins_with_a_line_a_scenario():
    one = review().matrix[0]
    many = tuple(msgspec.structs.replace(one, scenario=name, case=f"c{at}") for name in "ab" for at in range(31))
    page = html.render(review(matrix=(*many, msgspec.structs.replace(one, scenario="c", turn=Turn.LATE, met=False))))
    folded = '<details class="scenario"><summary><b>a</b>  <span class="soft">31 as claimed (patch 2)</span></summary>'
    assert folded in page
    assert '<details class="scenario" open><summary><b>c</b> <span class="mark bad">✗ 1 not as promised</span>' in page


def test_earlier_runs_of_many_scenarios_are_a_line():
    runs = tuple(
        Ran(scenario=f"s{at}", folder=f"f{at}", verdicts=3, since=f"2026-11-25T10:0{at}:00Z") for at in range(6)
    )
    many, few = review(runs=runs), review(runs=runs[:2])
    [line] = text.from_earlier(many)
    assert line == "from earlier runs: 18 verdicts of 6 scenarios, 2026-11-25T10:00:00Z to 2026-11-25T10:05:00Z"
    assert len(list(text.from_earlier(few))) == 2
    assert "3 verdicts of s5, results/runs/f5" in html.render(many)


def test_what_was_the_same_over_several_patches_is_told_once():
    cells = {"without": FAIL, "1": FAIL, "2": PASS}
    page = html.render(review(matrix=(Row("s", "c", "t", cells, Turn.LATE, 2, 1, met=False),)))
    assert "<h3>base to 1: FAIL (success)</h3>" in page
    assert page.count("<h3>base") == 1


def test_one_line_says_what_was_not_run(bad):
    assert figures.coverage_line(bad.coverage) == (
        "1 of 4 added executable lines were run; "
        "not run: fs/namei.c:4693-4694 (leads_to_itself), fs/namei.c:4713 (do_symlinkat)"
    )


def test_the_table_of_a_good_series():
    said = text.table(review())
    assert "own_name      F    F    .       2        2\n" in said + "\n"
    assert "claimed" in said
    assert "RED" not in said


def test_the_course_of_a_case():
    cells = {"without": FAIL, "1": FAIL, "2": PASS}
    assert text.course(review(), Row("s", "c", "t", cells, Turn.LATE, 2, 1, met=False)) == (
        "base-1: FAIL (success), 2: PASS"
    )


def test_many_patches_that_change_nothing_share_a_column():
    many = tuple(Patch(number=at, title=f"p{at}") for at in range(1, 41))
    turned = {"without": FAIL, **{str(at): FAIL if at < 31 else PASS for at in range(1, 41)}}
    kept = dict.fromkeys(turned, PASS)
    rows = (Row("s", "a", "t", turned, Turn.AS_CLAIMED, 31, 31), Row("s", "b", "t", kept, Turn.KEPT))
    said = text.table(review(patches=many, matrix=rows)).splitlines()
    assert said[-3:] == [
        "s     base 1-30 31-40   found  claimed",
        "  a      F    F     .      31       31",
        "  b      .    .     .       -        -",
    ]


def test_the_table_of_a_bad_series(bad):
    said = text.table(bad)
    assert "fs/namei.c:1:2: error: <no> such thing" in said
    assert "patch 2: no case was run (build)" in said
    assert "ext4-loops/own_name: not run at the tip: base: FAIL (success), 1: FAIL oops (<b>bold</b>)" in said
    assert "remark on patch 1, fs/namei.c:4694: why not" in said
    assert "open, open: 1,000 -> 1,010  x1.0100" in said
    assert "the rates differ" in said
    assert "1 case did what it must in 100 of 100 runs" in said


def test_a_mail_gives_tested_by_only_when_all_is_as_promised(bad):
    said = letter.mail(review(), "T <t@example.org>")
    assert said.count("Tested-by: T <t@example.org>") == 1
    assert "Patch 2 turns 1 from red to green:\n    ext4-loops: own_name\n" in said
    assert "Again: lab review 'a series.mbox'\n" in said
    assert "Tested-by" not in letter.mail(bad, "T <t@example.org>")
    without_cases = review(matrix=())
    assert (without_cases.good, without_cases.question) == (True, "all checks good, no case was run")
    assert "Tested-by" not in letter.mail(without_cases, "T <t@example.org>")
    assert "Tested-by: " not in letter.mail(review(), "")
    assert "NOT as expected (not run at the tip): ext4-loops/own_name" in letter.mail(bad)


@pytest.mark.parametrize(
    "spoil",
    [
        {"matrix": (Row("s", "c", "t", {"2": FAIL}, Turn.NEVER, met=False),)},
        {"patches": (Patch(number=1, title="x", refused="does not apply"),)},
        {"flaky": (Flaky(scenario="s", case="c", failed_before=0, failed_after=20, runs=20),)},
        {"matrix": (), "patches": ()},
        {"matrix": (Row("s", "c", "t", {"2": FAIL}, Turn.APART),), "patches": ()},
    ],
    ids=["a case", "a patch", "a rate", "nothing looked at", "nothing for this filesystem"],
)
def test_what_is_not_good(spoil):
    assert review().good
    assert not review(**spoil).good
    assert not review(**spoil).tested


def test_rates_that_overlap_are_no_evidence():
    assert not Flaky(scenario="s", case="c", failed_before=0, failed_after=1, runs=20).differs
    assert Flaky(scenario="s", case="c", failed_before=0, failed_after=10, runs=20).differs


def test_junit(bad):
    root = ET.fromstring(out.junit(bad))
    failed = [
        (case.get("classname"), case.get("name")) for case in root.iter("testcase") if case.find("failure") is not None
    ]
    assert failed == [("patch 1", "style"), ("patch 2", "build"), ("ext4-loops", "own_name")]
    assert root.get("failures") == "3"
    # No kernel, no boot: that is not a test that passed.
    skipped = [case.get("name") for case in root.iter("testcase") if case.find("skipped") is not None]
    assert (skipped, root.get("skipped")) == (["boot"], "1")


def test_kcidb_says_what_does_not_build_and_what_does_not_apply(bad, tmp_path):
    refused = (*bad.patches, Patch(number=3, title="x", refused="hunk\0 failed", message_id="3@example.org"))
    data = json.loads(out.submission(msgspec.structs.replace(bad, patches=refused), tmp_path).json())
    kcidb_io.schema.V5_3.validate(data)
    [build] = data["builds"]
    assert (build["status"], build["log_excerpt"]) == ("FAIL", "fs/namei.c:1:2: error: <no> such thing")
    assert [checkout["valid"] for checkout in data["checkouts"]] == [True, False]


def test_kcidb_has_the_good_patches_of_a_review_without_cases(tmp_path):
    data = json.loads(out.submission(review(matrix=()), tmp_path).json())
    kcidb_io.schema.V5_3.validate(data)
    assert [build["status"] for build in data["builds"]] == ["PASS", "PASS"]
    assert [checkout["message_id"] for checkout in data["checkouts"]] == ["1@example.org", "2@example.org"]


def test_a_patch_that_turns_cases_keeps_its_number_behind_one_that_does_not_apply():
    refused = Patch(number=1, title="x", refused="no")
    shifted = [msgspec.structs.replace(patch, number=patch.number + 1) for patch in patches()]
    page = html.render(review(patches=(refused, *shifted)))
    [row] = [row for row in page.splitlines() if 'href="#patch-3"' in row and "<tr>" in row]
    assert '<td class="number">1</td>' in row


def test_a_review_is_a_folder_and_can_be_read_back(bad, tmp_path):
    first, second = (out.publish(tmp_path / "results" / "reviews", bad) for _ in range(2))
    assert first != second
    assert sorted(path.name for path in first.iterdir()) == [
        "junit.xml", "kcidb.json", "reply.txt", "report.html", "review.json",
    ]  # fmt: skip
    assert msgspec.json.decode((first / "review.json").read_bytes(), type=Review) == bad


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.text(), st.text().map(lambda text: patches()[0].diff[: len(text) * 9] + text)))
def test_no_diff_breaks_the_page(text):
    broken = Patch(number=1, title=text, diff=text, message=text)
    assert "</html>" in html.render(review(patches=(broken,), matrix=()))
