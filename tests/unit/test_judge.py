"""Judging: what each way to end is called, what beats what, and that nothing but proof is a pass."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.model import STATUS_OF, Event, Expectation, Kind, Splat, Status
from harness.verdict import failure
from harness.verdict.judge import CaseRecord, Check, Ended, Outcome, Verdict, compare, judge, meets, not_applicable
from harness.verdict.ktap import Line

CONSOLES = Path(__file__).resolve().parents[1] / "data" / "consoles"


def console(name):
    lines = (CONSOLES / f"{name}.txt").read_text().split("\n")
    return "\n".join(line for line in lines if not line.startswith("#"))


def stream(*lines, result="ok 1 unlinked.alias", plan="1..1"):
    head = ("TAP version 13", plan, "# Starting 1 tests from 1 test cases.", "#  RUN           unlinked.alias ...")
    return "\n".join(line for line in (*head, *lines, result) if line) + "\n# Totals: pass:0\n"


PASS = stream("#          OK  unlinked.alias")
ASSERTED = (
    "# unlinked_test.c:40:alias:counting names",
    "# unlinked_test.c:42:alias:checkpoint(): EBADF (Bad file descriptor), expected success",
    "# alias: Test terminated by assertion",
)
RED = stream(*ASSERTED, result="not ok 1 unlinked.alias")
BUG, WARN, STALL, PANIC = map(console, ("lkdtm-bug", "lkdtm-warning-message", "lkdtm-softlockup", "lkdtm-panic"))
DECLARED = Splat(pattern=r"WARNING in lkdtm_\w+", reason="the case asks for it")


def record(**given):
    """A record that is a pass but for what is given."""
    return CaseRecord(**{"case": "alias", "test": "alias", "ended": Ended.DONE, "exit": 0, "ktap": PASS, **given})


def test_a_case_that_cannot_apply_is_skipped_with_the_suites_reason():
    outcome = judge(not_applicable("a", "with", "no such flag on this filesystem"))
    assert (outcome.status, outcome.kind) == (Status.SKIP, Kind.SKIPPED)
    assert outcome.reason == "no such flag on this filesystem"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "No modify flag set, skipping phase 5\nCannot get host filesystem geometry.\nPhase 1 - find\n"
            "        - scan\nlost+found (ino 132) in root (128) is not a directory",
            "lost+found (ino 132) in root (128) is not...",
        ),
        (
            "Opening filesystem to check...\n[1/7] checking root items\nerrors 2000, link count",
            "errors 2000, link count",
        ),
        (
            "Info: CKPT version = 1\n[FSCK] Unreachable nat entries   [Ok..] [0x0]\n[ASSERT] ino: 0x3 i_links: 7",
            "[ASSERT] ino: 0x3 i_links: 7",
        ),
    ],
)
def test_what_a_checker_complains_of_is_told_and_not_its_progress(output, reason):
    told = judge(record(check=Check(exit=1, output=output)))
    assert told.kind is Kind.DIRTY
    assert told.reason.removeprefix("checker: ")[:30] == reason[:30]


def judged(**given):
    outcome = judge(record(**given))
    assert outcome.status is STATUS_OF[outcome.kind]
    return outcome.kind, outcome.reason


def red(**given):
    return judged(**{"exit": 1, "ktap": RED, **given})


def test_a_record_of_nothing_is_a_crash():
    assert judge(CaseRecord(case="a", ended=Ended.DONE)).kind is Kind.CRASHED


def test_a_pass_needs_all_of_it():
    assert judged() == (Kind.PASSED, "")
    assert judged(check=Check(exit=0)) == (Kind.PASSED, "")


@pytest.mark.parametrize(
    ("given", "kind", "reason"),
    [
        ({"exit": None}, Kind.CRASHED, "passed with an unknown exit status"),
        ({"exit": 1}, Kind.CRASHED, "passed with exit status 1"),
        ({"exit": -11}, Kind.CRASHED, "signal 11"),
        ({"test": "other"}, Kind.NO_TESTS, "other did not run"),
        ({"test": "lias"}, Kind.NO_TESTS, "lias did not run"),
        ({"ktap": stream(plan="")}, Kind.CRASHED, "the stream has no plan"),
        ({"ktap": stream(plan="1..2")}, Kind.CRASHED, "the stream planned 2 and ran 1"),
        ({"ktap": PASS + "ok 2 forged\n"}, Kind.CRASHED, "the stream planned 1 and ran 2"),
        ({"ktap": PASS + "Bail out! no memory\n"}, Kind.CRASHED, "bailed out: no memory"),
        ({"ktap": ""}, Kind.NO_TESTS, "no test ran"),
        ({"ktap": "TAP version 13\n1..0\n"}, Kind.NO_TESTS, "no test ran"),
        ({"ktap": "", "exit": 139}, Kind.CRASHED, "no result, exit status 139"),
        ({"ktap": "TAP version 13\n1..3\n"}, Kind.CRASHED, "planned 3 and ran none"),
        ({"ktap": "TAP version 13\n1..0 # SKIP no ext4\n", "exit": 4}, Kind.SKIPPED, "no ext4"),
        ({"ktap": stream(result="ok 1 unlinked.alias # SKIP needs root")}, Kind.SKIPPED, "needs root"),
        ({"ktap": stream(result="not ok 1 unlinked.alias # SKIP needs root")}, Kind.SKIPPED, "needs root"),
        (
            {"ktap": stream(result="ok 1 unlinked.alias # SKIP x"), "exit": 2},
            Kind.CRASHED,
            "skipped with exit status 2",
        ),
        ({"ktap": stream(result="ok 1 unlinked.alias # XFAIL known")}, Kind.SKIPPED, "XFAIL: known"),
        ({"ktap": stream(result="not ok 1 unlinked.alias # TODO later")}, Kind.SKIPPED, "TODO: later"),
        (
            {"ktap": stream(result="ok 1 unlinked.alias # XPASS unknown")},
            Kind.ASSERTION,
            "passed although the program expects a failure",
        ),
        ({"unmount": "EBUSY"}, Kind.DIRTY, "unmount: EBUSY"),
        (
            {
                "check": Check(
                    exit=4, output="e2fsck 1.47.0 (5-Feb-2023)\nPass 1: Checking\nInode 12 was part of the orphan\n"
                )
            },
            Kind.DIRTY,
            "checker: Inode 12 was part of the orphan",
        ),
        ({"check": Check(exit=-9)}, Kind.DIRTY, "checker: killed by signal 9"),
        ({"left": ("stuck",)}, Kind.HANG, "a task survives SIGKILL"),
        ({"left": ("tasks 2",)}, Kind.PASSED, ""),
        ({"console": WARN}, Kind.SPLAT, "WARNING in lkdtm_WARNING_MESSAGE"),
        ({"console": STALL}, Kind.HANG, "BUG: soft lockup in lkdtm_SOFTLOCKUP"),
        ({"console": BUG}, Kind.OOPS, "kernel BUG in lkdtm_BUG"),
        ({"console": PANIC}, Kind.PANIC, "kernel panic: dumptest"),
        ({"console": console("tail-only")}, Kind.SPLAT, "a report without a cause"),
        ({"console": console("taint-only")}, Kind.SPLAT, "tainted by an oops and a WARN that nobody reported"),
        ({"console": console("sysrq-noise")}, Kind.PASSED, ""),
        ({"ended": Ended.TIMEOUT}, Kind.TIMEOUT, "the case did not end"),
        ({"ended": Ended.HANG}, Kind.HANG, "the guest fell silent"),
        ({"ended": Ended.PANIC}, Kind.PANIC, "the guest panicked without a word"),
        ({"ended": Ended.NO_BOOT}, Kind.NO_BOOT, "never ready"),
        ({"ended": Ended.LOST}, Kind.LOST, "QEMU ended"),
        ({"ended": Ended.KILLED}, Kind.KILLED, "stopped by the user"),
    ],
)
def test_a_pass_that_is_none(given, kind, reason):
    assert judged(**given) == (kind, reason)


def test_the_wanted_red():
    outcome = judge(record(exit=1, ktap=RED))
    assert (outcome.status, outcome.kind, outcome.reason) == (Status.FAIL, Kind.ASSERTION, "EBADF")
    assert outcome.message.startswith("unlinked_test.c:42: checkpoint(): EBADF (Bad file descriptor), expected success")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"console": WARN}, Kind.SPLAT),
        ({"console": BUG}, Kind.OOPS),
        ({"check": Check(exit=4, output="bad")}, Kind.DIRTY),
        ({"unmount": "EBUSY"}, Kind.DIRTY),
        ({"ended": Ended.TIMEOUT}, Kind.TIMEOUT),
        ({"exit": -6}, Kind.CRASHED),
        ({"ktap": RED.replace("1..1", "1..2")}, Kind.CRASHED),
        (
            {"ktap": stream("# alias: Test terminated unexpectedly by signal 11", result="not ok 1 unlinked.alias")},
            Kind.CRASHED,
        ),
        ({"ktap": stream("# alias: Test terminated by timeout", result="not ok 1 unlinked.alias")}, Kind.TIMEOUT),
        ({"ktap": stream(result="not ok 1 unlinked.alias # TIMEOUT 45 seconds")}, Kind.TIMEOUT),
        ({"ktap": stream(result="not ok 1 unlinked.alias # error no sysfs")}, Kind.CRASHED),
        ({"ktap": stream(result="not ok 1 unlinked.alias # SKIP no")}, Kind.CRASHED),
    ],
)
def test_a_red_that_is_not_the_wanted_one(given, kind):
    wanted = Expectation(status=Status.FAIL, reason="EBADF")
    outcome = judge(record(**{"exit": 1, "ktap": RED, **given}))
    assert outcome.kind is kind
    assert not meets(wanted, outcome)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("checkpoint(): EBADF (Bad file descriptor), expected success", "EBADF"),
        ("linkat(): EBADF (Bad file descriptor), expected ENOENT (No such file or directory)", "EBADF"),
        ("linkat(): success, expected ENOENT (No such file or directory)", "success"),
        ("Expected 0 (0) == ret (-9)", "EBADF"),
        ("Expected -ENOENT (-2) == sys_linkat() (-9)", "EBADF"),
        ("Expected ENOENT (2) == errno (9)", "EBADF"),
        ("Expected 0 (0) == unlink(path) (-1)", "Expected 0 (0) == unlink(path) (-1)"),
        ("Expected 1 (1) == st.st_nlink (2)", "Expected 1 (1) == st.st_nlink (2)"),
        ("Expected fd (-9) >= 0 (0)", "EBADF"),
        ("Expected -ENOENT (-2) == ret (0)", "Expected -ENOENT (-2) == ret (0)"),
        ("Expected 0 (0) <= fd (-5000)", "Expected 0 (0) <= fd (-5000)"),
    ],
)
def test_the_short_reason_is_what_was_seen(text, reason):
    told = failure.explain([Line(1, f"a.c:1:alias:{text}")])
    assert (told.reason, told.text, told.where) == (reason, text, "a.c:1")


def test_an_errno_on_another_line_helps_when_the_assertion_has_none():
    lines = ["log: task 61 fd 3: EBADF unlinked file", "a.c:9:alias:Expected 0 (0) == ret (-1)", "ENOENT after it"]
    assert failure.explain([Line(number, text) for number, text in enumerate(lines)]).reason == "EBADF"


def test_without_any_word_the_reason_is_not_ok():
    assert judged(exit=1, ktap="1..1\nnot ok 1 alias\n") == (Kind.ASSERTION, "not ok")


def test_a_failing_subtest_is_a_failure_even_if_its_parent_says_skip_or_ok():
    inner = "1..1\n  1..1\n  not ok 1 x\n{} 1 alias\n"
    assert judged(ktap=inner.format("ok"))[0] is Kind.CRASHED
    assert judged(exit=1, ktap=inner.format("not ok"))[0] is Kind.ASSERTION


def test_any_other_result_of_the_stream_counts_too():
    two = "1..2\nok 1 alias\nnot ok 2 b.other\n"
    assert judged(exit=1, ktap=two)[0] is Kind.ASSERTION
    skipped = "1..2\nok 1 alias\nok 2 other # SKIP\n"
    assert judged(ktap=skipped) == (Kind.PASSED, "1 of 2 skipped")


def test_a_named_test_that_skips_is_no_pass_whatever_else_passed():
    assert judged(ktap="1..2\nok 1 alias # SKIP no\nok 2 other\n")[0] is Kind.SKIPPED


def test_a_declared_splat():
    assert judged(splat=DECLARED, console=WARN) == (Kind.PASSED, "")
    assert len(judge(record(splat=DECLARED, console=WARN)).splats) == 1
    assert judged(splat=DECLARED, console="") == (Kind.SPLAT, "declared splat missing")
    assert judged(splat=DECLARED, console=WARN + "\n" + BUG) == (Kind.OOPS, "kernel BUG in lkdtm_BUG")
    assert red(splat=DECLARED) == (Kind.ASSERTION, "EBADF")
    assert red(splat=DECLARED, console=WARN) == (Kind.ASSERTION, "EBADF")


def test_a_declared_splat_does_not_excuse_another_way_to_fail():
    assert judged(splat=DECLARED, console=WARN, check=Check(exit=4, output="bad"))[0] is Kind.DIRTY
    assert judged(splat=Splat(pattern="dumptest", reason="x"), console=PANIC, ended=Ended.PANIC)[0] is Kind.PANIC


ORDER = [
    {"ended": Ended.NO_BOOT},
    {"console": PANIC},
    {"console": BUG},
    {"ended": Ended.KILLED},
    {"ended": Ended.LOST},
    {"console": WARN},
    {"ended": Ended.HANG},
    {"ended": Ended.TIMEOUT},
    {"unmount": "EBUSY"},
    {"exit": -11},
    {"exit": 1, "ktap": RED},
]


@pytest.mark.parametrize("index", range(len(ORDER) - 1))
def test_the_weightier_finding_names_the_case(index):
    """Each beats all behind it that can be true at the same time."""
    heavy = ORDER[index]
    for light in ORDER[index + 1 :]:
        if heavy.keys() & light.keys():
            continue
        assert judged(**light, **heavy)[0] is judged(**heavy)[0]


def test_a_panic_after_an_oops_is_a_panic_with_the_cause_of_the_oops():
    assert judged(console=console("lkdtm-exhaust-stack")) == (
        Kind.PANIC,
        "BUG: stack guard page was hit in recursive_loop",
    )
    assert judged(console=console("panic-on-warn")) == (Kind.PANIC, "WARNING in drop_nlink")
    assert judged(console=WARN + "\n" + PANIC) == (Kind.PANIC, "kernel panic: dumptest")


def outcome(kind, reason=""):
    return Outcome(status=STATUS_OF[kind], kind=kind, reason=reason)


@pytest.mark.parametrize("kind", list(Kind))
def test_fail_alone_is_met_by_an_assertion_alone(kind):
    assert meets(Expectation(status=Status.FAIL), outcome(kind)) is (kind is Kind.ASSERTION)
    assert meets(Expectation(status=Status.PASS), outcome(kind)) is (kind is Kind.PASSED)
    assert meets(Expectation(status=STATUS_OF[kind], kind=kind), outcome(kind))


@pytest.mark.parametrize(
    ("word", "reason", "met"),
    [
        ("EBADF", "EBADF", True),
        ("EBAD", "EBADF", False),
        ("EBADF", "", False),
        ("lkdtm_BUG", "kernel BUG in lkdtm_BUG", True),
        ("A.B", "AxB", False),
        ("", "anything", True),
    ],
)
def test_the_reason_is_a_whole_word(word, reason, met):
    expectation = Expectation(status=Status.FAIL, reason=word)
    assert meets(expectation, outcome(Kind.ASSERTION, reason)) is met


EBADF = Expectation(status=Status.FAIL, reason="EBADF")
GREEN = Expectation(status=Status.PASS)


@pytest.mark.parametrize(
    ("without", "with_", "verdict"),
    [
        (outcome(Kind.ASSERTION, "EBADF"), outcome(Kind.PASSED), Verdict.RED_GREEN),
        (outcome(Kind.ASSERTION, "ENOSYS"), outcome(Kind.PASSED), Verdict.UNEXPECTED),
        (outcome(Kind.PASSED), outcome(Kind.PASSED), Verdict.UNEXPECTED),
        (outcome(Kind.SPLAT, "EBADF"), outcome(Kind.PASSED), Verdict.UNEXPECTED),
        (outcome(Kind.ASSERTION, "EBADF"), outcome(Kind.SKIPPED), Verdict.UNEXPECTED),
        (outcome(Kind.ASSERTION, "EBADF"), outcome(Kind.ASSERTION, "EBADF"), Verdict.UNEXPECTED),
    ],
)
def test_over_two_states(without, with_, verdict):
    assert compare({"without": EBADF, "with": GREEN}, {"without": without, "with": with_}) is verdict


def test_what_stays_green_is_as_expected_and_what_is_missing_is_not():
    green = outcome(Kind.PASSED)
    assert compare({"without": GREEN, "with": GREEN}, {"without": green, "with": green}) is Verdict.AS_EXPECTED
    assert compare({"base": Expectation(status=Status.FAIL, kind=Kind.PANIC)}, {"base": outcome(Kind.PANIC)}) is (
        Verdict.AS_EXPECTED
    )
    assert compare({"without": GREEN, "with": GREEN}, {"with": green}) is Verdict.UNEXPECTED
    assert compare({}, {}) is Verdict.UNEXPECTED


RECORDED = sorted((CONSOLES.parent / "ktap").glob("*.txt"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_stream_is_judged_as_its_head_says(path):
    """``#: where it is from; exit STATUS; test NAME``, ``#= kind | reason``, then what the program wrote."""
    origin, wanted, ktap = path.read_text().split("\n", 2)
    found = re.search(r"; exit (-?\d+); test (\w+)$", origin)
    kind, reason = wanted.removeprefix("#= ").split(" | ")
    assert judged(exit=int(found.group(1)), test=found.group(2), ktap=ktap) == (Kind(kind), reason)


def test_there_are_recorded_streams():
    assert len(RECORDED) > 12


TEXTS = st.text(max_size=60) | st.sampled_from([PASS, RED, WARN, BUG, "1..1\n", "ok 1 alias\n"])


@settings(max_examples=200)
@given(
    st.builds(
        CaseRecord,
        case=st.text(max_size=5),
        test=st.sampled_from(["", "alias"]),
        ended=st.sampled_from(Ended),
        exit=st.none() | st.integers(-64, 255),
        ktap=st.lists(TEXTS, max_size=4).map("".join),
        console=st.lists(TEXTS, max_size=3).map("\n".join),
        unmount=st.sampled_from(["", "EBUSY"]),
        check=st.none() | st.builds(Check, exit=st.integers(-9, 9), output=st.text(max_size=20)),
        splat=st.none() | st.just(DECLARED),
    )
)
def test_no_record_raises_and_only_a_clean_one_passes(given_record):
    found = judge(given_record)
    assert found.status is STATUS_OF[found.kind]
    assert judge(msgspec.json.decode(msgspec.json.encode(given_record), type=CaseRecord)) == found
    if found.kind is Kind.PASSED:
        assert given_record.ended is Ended.DONE
        assert given_record.exit == 0
        assert not given_record.unmount
        assert given_record.check is None or given_record.check.exit == 0


CUT_SHORT = stream("# lab: power cut", result="")


def phase(number, **given):
    return record(phase=number, **given)


def in_phases(first, last):
    return judge(msgspec.structs.replace(last, before=(first,)))


def test_a_phase_that_came_to_its_event_has_passed():
    first = phase("1", event=Event.POWER_CUT, ended=Ended.EVENT, ktap=CUT_SHORT)
    assert judge(first).kind is Kind.PASSED
    assert in_phases(first, phase("2", ktap=PASS)).kind is Kind.PASSED


def test_a_phase_that_passed_without_its_event_has_not():
    outcome = judge(phase("1", event=Event.POWER_CUT, ktap=PASS))
    assert (outcome.kind, outcome.reason) == (Kind.CRASHED, "it never came to its power cut")


def test_a_red_before_the_event_is_the_red_of_the_case():
    first = phase("1", event=Event.REBOOT, ktap=RED, exit=1)
    assert (judge(first).kind, judge(first).reason) == (Kind.ASSERTION, "EBADF")
    outcome = in_phases(first, phase("2", ktap=PASS))
    assert (outcome.kind, outcome.reason) == (Kind.ASSERTION, "EBADF")
    assert outcome.message.startswith("phase 1: ")


def test_a_splat_of_any_phase_counts():
    first = phase("1", event=Event.POWER_CUT, ended=Ended.EVENT, ktap=CUT_SHORT, console=WARN)
    assert judge(first).kind is Kind.SPLAT
    assert in_phases(first, phase("2", ktap=PASS)).kind is Kind.SPLAT


def test_only_the_panic_that_was_declared_is_excused():
    wanted = phase("1", event=Event.PANIC, ended=Ended.PANIC, ktap=CUT_SHORT, console=PANIC)
    assert judge(wanted).kind is Kind.PASSED
    assert judge(phase("1", event=Event.POWER_CUT, ended=Ended.PANIC, ktap=CUT_SHORT, console=PANIC)).kind is Kind.PANIC
    assert judge(phase("1", event=Event.PANIC, ended=Ended.PANIC, console=WARN + PANIC)).kind is Kind.SPLAT


def test_a_pass_may_say_how_much_it_was():
    assert judge(record(ktap=PASS, note="80 cuts")).reason == "80 cuts"
    assert judge(record(ktap=RED, exit=1, note="80 cuts")).reason == "EBADF"


def test_a_declared_splat_may_come_in_any_phase():
    first = phase("1", event=Event.POWER_CUT, ended=Ended.EVENT, ktap=CUT_SHORT, console=WARN, splat=DECLARED)
    assert in_phases(first, phase("2", ktap=PASS, splat=DECLARED)).kind is Kind.PASSED
    assert judge(phase("2", ktap=PASS, splat=DECLARED)).reason == "declared splat missing"


def test_a_disk_that_cannot_be_mounted_is_called_so():
    assert judge(record(unmount="mount: EINVAL")).reason == "mount: EINVAL"
