"""What became of a case, from what was saved of it; and whether that is what was wanted.

    record = CaseRecord(case="alias", ended=Ended.DONE, exit=1, ktap=..., console=...)
    outcome = judge(record)             # Outcome(FAIL, assertion, reason="EBADF", ...)
    meets(expectation, outcome)         # True
    compare(expected, outcomes)         # Verdict.RED_GREEN

A case is guilty until proven passed: it starts as crashed, and only a complete plan, an ``ok`` for the very test that
was asked for, exit status 0, a filesystem that unmounts and is clean, and a console without complaint make it a pass.

Several things can be true at once. The first of these that holds names the case:

0. skipped, when its suite says that it cannot apply to this filesystem: then no guest was started.
1. no-boot. The case never ran; whatever the console says is about the boot.
2. panic, then oops. The kernel under test broke. What the program printed before is no evidence any more, and Ctrl-C or
   a QEMU that then died does not take it back.
3. killed, lost. The user or the host ended it: nothing more can be said about the kernel.
4. the first undeclared splat: hang when the kernel says that it does not get on, splat else. It stands before a
   silent guest and a timeout because it came first and names a place; they only name an absence.
5. hang (the guest is silent, or a task survives SIGKILL), then timeout.
6. dirty. The filesystem does not unmount or its checker complains. It stands before the program's own words because a
   kernel that damages a disk is worse than one that returns the wrong errno; a failed assertion is no excuse.
7. crashed, no-tests, timeout of the test's own alarm: the stream proves nothing. Before ``not ok``: half a stream with
   a red in it is not the wanted red.
8. assertion, skipped, passed, as the stream says. XFAIL and TODO count as skipped (neither green nor the red that was
   asked for), XPASS as an assertion (the program's own expectation was wrong).

A splat that the case declares takes no part in this. A declared splat that did not happen turns a *passed* case into a
splat failure: never into an assertion, which could be taken for the wanted red.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from harness.catalogue.model import STATUS_OF, Event, Expectation, Kind, Status
from harness.catalogue.model import Splat as Declared
from harness.verdict import failure
from harness.verdict.cost import costs
from harness.verdict.ktap import Directive, Document, Line, Result, parse
from harness.verdict.splat import Splat, SplatKind, scan

RECORD_VERSION = 1


class Ended(StrEnum):
    """How the machine came to the end of the case."""

    DONE = "done"  # the agent reported the program's end
    TIMEOUT = "timeout"  # the guest lived, the program did not end
    HANG = "hang"  # the guest fell silent
    PANIC = "panic"
    NO_BOOT = "no-boot"  # never ready
    LOST = "lost"  # QEMU ended on its own
    KILLED = "killed"  # the user stopped the run
    NOT_APPLICABLE = "not-applicable"  # there was none: the suite says that the case cannot apply here
    EVENT = "event"  # the case came to the event that was to end this phase of it


class Check(msgspec.Struct, frozen=True):
    """What the filesystem's checker said afterwards: exit status (0 is clean; negative: killed by a signal), output."""

    exit: int
    output: str = ""


class CaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is saved of one case in one state; ``judge`` needs nothing else.

    Texts are decoded with ``errors="replace"``. ``duration`` is in seconds of the host.
    """

    case: str
    ended: Ended
    state: str = ""
    test: str = ""  # the test that had to run, with or without its fixture; empty: all that the program ran count
    exit: int | None = None  # of the program; negative: killed by that signal; None: it is not known to have ended
    ktap: str = ""
    console: str = ""  # from the case's marker on; of a guest that never got there, from power-on
    unmount: str = ""  # what umount said: empty when it worked
    left: tuple[str, ...] = ()  # what the case left running, in the agent's words: "stuck", "tasks 2"
    check: Check | None = None  # None: the filesystem has no checker, or the case did not get that far
    splat: Declared | None = None
    detail: str = ""  # what the host adds: QEMU's exit status and last words
    duration: float = 0.0
    phase: str = ""  # "1", "2", "cut 17"; empty: the case has but one
    event: Event | None = None  # what this phase had to end with
    note: str = ""  # what a pass is to say
    before: tuple[CaseRecord, ...] = ()  # the earlier phases: all must pass
    version: int = RECORD_VERSION


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement. ``reason`` is a word or a title (EBADF, a splat's name); ``message`` the story in lines."""

    status: Status
    kind: Kind
    reason: str = ""
    message: str = ""
    splats: tuple[Splat, ...] = ()
    costs: dict[str, int] = {}  # what the case reported: guest instructions in exact mode, else host ticks, or bytes
    duration: float = 0.0


class Verdict(StrEnum):
    """A case over all its states."""

    RED_GREEN = "red without, green with"
    AS_EXPECTED = "as expected"
    UNEXPECTED = "unexpected"


class _Finding(msgspec.Struct, frozen=True):
    """The part of an outcome that a rule decides."""

    kind: Kind
    reason: str = ""
    message: str = ""


def judge(record: CaseRecord) -> Outcome:
    """The outcome of a case: of its first phase that did not pass. Pure and total: any text gives one, none raises."""
    if record.ended is Ended.NOT_APPLICABLE:
        return Outcome(status=Status.SKIP, kind=Kind.SKIPPED, reason=record.detail)
    parts = (*record.before, record)
    splats = tuple(splat for part in parts for splat in scan(part.console))
    found = next((found for part in parts if (found := _phase(part)).kind is not Kind.PASSED), None) or _phase(record)
    if found.kind is Kind.PASSED and record.splat and not any(_declared(record.splat, splat) for splat in splats):
        found = _Finding(
            Kind.SPLAT, "declared splat missing", f"nothing on the console matches {record.splat.pattern!r}"
        )
    return Outcome(
        status=STATUS_OF[found.kind], kind=found.kind, reason=found.reason, message=found.message.strip("\n"),
        splats=splats, costs=costs(record.ktap), duration=sum(part.duration for part in parts),
    )  # fmt: skip


def not_applicable(case: str, state: str, reason: str) -> CaseRecord:
    """The record of a case that was not run because its suite says that it cannot apply to this filesystem."""
    return CaseRecord(case=case, state=state, test=case, ended=Ended.NOT_APPLICABLE, detail=reason)


def _phase(record: CaseRecord) -> _Finding:
    """What became of one phase; of the whole case when it has but one."""
    wanted = record.event is Event.PANIC and record.ended is Ended.PANIC
    splats = tuple(splat for splat in scan(record.console) if not _declared(record.splat, splat))
    if wanted:
        splats = tuple(splat for splat in splats if splat.kind is not SplatKind.PANIC)
        record = msgspec.structs.replace(record, ended=Ended.EVENT)
    found = next(_machine(record, splats), None) or (_event(record) if record.event else _program(record))
    if found.kind is Kind.PASSED:
        return msgspec.structs.replace(found, reason=found.reason or record.note)
    if record.phase:
        told = f"phase {record.phase}: " if record.phase.isdigit() else f"{record.phase}: "
        return msgspec.structs.replace(found, message=f"{told}{found.message}")
    return found


def _event(record: CaseRecord) -> _Finding:
    """A phase that has to end with an event: its program's results are not complete, so only its failure counts."""
    if record.ended is Ended.EVENT:
        return _Finding(Kind.PASSED)
    found = _program(record)
    if found.kind is not Kind.PASSED:
        return found
    return _Finding(Kind.CRASHED, f"it never came to its {record.event}", _last_words(record))


def _declared(declared: Declared | None, splat: Splat) -> bool:
    return declared is not None and any(re.search(declared.pattern, text) for text in (splat.title, splat.first))


def _machine(record: CaseRecord, splats: Sequence[Splat]) -> Iterator[_Finding]:
    """Rules 1 to 6: what the kernel, the host and the user say, the weightiest first."""
    if record.ended is Ended.NO_BOOT:
        yield _Finding(Kind.NO_BOOT, splats[0].title if splats else "never ready", _story(record, splats))
    panic = _of(splats, SplatKind.PANIC)
    if panic or record.ended is Ended.PANIC:
        yield _Finding(Kind.PANIC, _cause(splats), _story(record, splats))
    if oops := _of(splats, SplatKind.OOPS):
        yield _Finding(Kind.OOPS, oops.title, _story(record, [oops]))
    if record.ended is Ended.KILLED:
        yield _Finding(Kind.KILLED, "stopped by the user", record.detail)
    if record.ended is Ended.LOST:
        yield _Finding(Kind.LOST, "QEMU ended", _story(record, splats))
    if splats:
        kind = Kind.HANG if splats[0].kind is SplatKind.STALL else Kind.SPLAT
        yield _Finding(kind, splats[0].title, _story(record, splats))
    if record.ended is Ended.HANG:
        yield _Finding(Kind.HANG, "the guest fell silent", _story(record, ()))
    if "stuck" in record.left:
        yield _Finding(Kind.HANG, "a task survives SIGKILL", _story(record, ()))
    if record.ended is Ended.TIMEOUT:
        yield _Finding(Kind.TIMEOUT, "the case did not end", _last_words(record))
    yield from _disk(record)


def _of(splats: Sequence[Splat], kind: SplatKind) -> Splat | None:
    return next((splat for splat in splats if splat.kind is kind), None)


_EFFECT = re.compile(r"kernel panic: (?:Fatal exception|.*panic_on_|hung_task|softlockup|Attempted to kill init)")
"""Panics that only carry out what an earlier complaint set off."""


def _cause(splats: Sequence[Splat]) -> str:
    """Why the kernel panicked: its own words, or the complaint before them when they explain nothing."""
    panic = _of(splats, SplatKind.PANIC)
    if panic is None:
        return splats[0].title if splats else "the guest panicked without a word"
    before = splats[: splats.index(panic)]
    return before[-1].title if before and _EFFECT.match(panic.title) else panic.title


def _disk(record: CaseRecord) -> Iterator[_Finding]:
    if record.unmount:
        how = "" if record.unmount.startswith("mount: ") else "unmount: "
        yield _Finding(Kind.DIRTY, how + failure.shorten(record.unmount), _last_words(record))
    if record.check is not None and record.check.exit != 0:
        status = record.check.exit
        how = f"killed by signal {-status}" if status < 0 else f"exit {status}"
        yield _Finding(Kind.DIRTY, f"checker: {_complaint(record.check.output) or how}", record.check.output)


_PROGRESS = re.compile(
    r"(?:e2fsck|fsck\.?\w*) [0-9]|Pass [0-9]"  # e2fsck, fsck.vfat
    r"|Phase [0-9]|- |No modify flag set|Cannot get host filesystem|Repair may fail if|the image and the host"  # XFS
    r"|\[[0-9]/[0-9]\] checking|Opening filesystem|Checking filesystem on|UUID: "  # btrfs
    r"|Info: |\[FSCK\] .*\[Ok\.\.\]"  # F2FS
)
"""Lines of checkers that are banners or notes of progress."""


def _complaint(output: str) -> str:
    """The first line of a checker's output that is not its banner or a note of progress."""
    lines = (line.strip() for line in output.splitlines())
    return failure.shorten(next((line for line in lines if line and not _PROGRESS.match(line)), ""))


def _story(record: CaseRecord, splats: Sequence[Splat]) -> str:
    """The reports' own lines, or the end of the console when there is none."""
    parts = ["\n".join(splat.excerpt) for splat in splats]
    if not parts:
        parts = ["\n".join(record.console.split("\n")[-20:])]
    return "\n\n".join((*parts, record.detail))


def _last_words(record: CaseRecord) -> str:
    return "\n".join((*record.ktap.rstrip("\n").split("\n")[-10:], record.detail))


def _program(record: CaseRecord) -> _Finding:
    """Rules 7 and 8: what the program's own words are worth."""
    document = parse(record.ktap)
    asked = [test for top in document.tests for test in top.walk() if _is(test, record.test)]
    if record.exit is not None and record.exit < 0:
        return _Finding(Kind.CRASHED, f"signal {-record.exit}", _last_words(record))
    if document.bail is not None:
        return _Finding(Kind.CRASHED, f"bailed out: {failure.shorten(document.bail.text)}", _last_words(record))
    if not document.tests:
        return _nothing_ran(record, document)
    faults = document.faults()
    if faults:
        return _Finding(Kind.CRASHED, faults[0], "\n".join((*faults, _last_words(record))))
    if not asked:
        return _Finding(Kind.NO_TESTS, f"{record.test} did not run", _last_words(record))
    skips = [found for test in asked if record.test and (found := _result(test, document)).kind is Kind.SKIPPED]
    found = _worst(record, [_result(test, document) for test in document.tests])
    return skips[0] if skips and found.kind is Kind.PASSED else found


def _is(test: Result, name: str) -> bool:
    """Whether a result is the asked-for test's, with or without its fixture and variant; any is when none was named."""
    return not name or test.name == name or test.name.endswith(f".{name}")


def _nothing_ran(record: CaseRecord, document: Document) -> _Finding:
    """A stream without results: skipped as a whole, empty on purpose, or not there because the program died."""
    plan = document.plan
    if plan is not None and plan.count == 0 and plan.skip is not None:
        return _Finding(Kind.SKIPPED, failure.shorten(plan.skip), plan.skip)
    if plan is not None and plan.count > 0:
        return _Finding(Kind.CRASHED, f"planned {plan.count} and ran none", _last_words(record))
    if record.exit == 0:
        return _Finding(Kind.NO_TESTS, "no test ran", _last_words(record))
    how = "unknown" if record.exit is None else str(record.exit)
    return _Finding(Kind.CRASHED, f"no result, exit status {how}", _last_words(record))


def _worst(record: CaseRecord, findings: Sequence[_Finding]) -> _Finding:
    """The results as one; a pass wants exit status 0 too, a skip may also use kselftest's 4."""
    order = (Kind.CRASHED, Kind.TIMEOUT, Kind.ASSERTION, Kind.PASSED, Kind.SKIPPED)
    found = min(findings, key=lambda finding: order.index(finding.kind))
    allowed = {Kind.PASSED: (0,), Kind.SKIPPED: (0, 4)}.get(found.kind)
    if allowed is not None and record.exit not in allowed:
        how = "an unknown exit status" if record.exit is None else f"exit status {record.exit}"
        return _Finding(Kind.CRASHED, f"{found.kind} with {how}", _last_words(record))
    skipped = sum(finding.kind is Kind.SKIPPED for finding in findings)
    if found.kind is Kind.PASSED and skipped:
        return _Finding(Kind.PASSED, f"{skipped} of {len(findings)} skipped", found.message)
    return found


_SOFT = {Directive.SKIP: "", Directive.XFAIL: "XFAIL: ", Directive.TODO: "TODO: "}


def _result(test: Result, document: Document) -> _Finding:
    """One top-level result with all below it."""
    if test.directive in _SOFT:
        return _Finding(Kind.SKIPPED, failure.shorten(_SOFT[test.directive] + test.comment), test.comment)
    bad = next((below for below in test.walk() if below.ok is False and below.directive not in _SOFT), None)
    if bad is not None:
        return _not_ok(bad, document)
    if test.directive is Directive.XPASS:
        return _Finding(Kind.ASSERTION, "passed although the program expects a failure", test.comment)
    if all(below.directive in _SOFT for below in test.subtests) and test.subtests:
        return _Finding(Kind.SKIPPED, "every subtest skipped")
    return _Finding(Kind.PASSED)


def _not_ok(test: Result, document: Document) -> _Finding:
    lines = test.diagnostics or document.diagnostics
    message = "\n".join(line.text for line in lines)
    if test.directive is Directive.TIMEOUT or failure.timed_out(lines):
        return _Finding(Kind.TIMEOUT, "the test's own alarm", message)
    if signal := failure.died(lines):
        return _Finding(Kind.CRASHED, signal, message)
    if failure.gave_up(lines):
        return _Finding(Kind.CRASHED, "exited without an assertion", message)
    if test.directive is Directive.ERROR:
        return _Finding(Kind.CRASHED, f"error: {failure.shorten(test.comment)}", message)
    told = failure.explain(lines if lines else (Line(test.line, test.comment),))
    head = f"{told.where}: {told.text}\n\n" if told.where else ""
    return _Finding(Kind.ASSERTION, told.reason, head + message)


def meets(expectation: Expectation, outcome: Outcome) -> bool:
    """Whether the outcome is what was wanted: the status, the kind (FAIL alone: an assertion), a word of the reason."""
    if outcome.status is not expectation.status:
        return False
    if expectation.wanted_kind not in (None, outcome.kind):
        return False
    word = rf"(?<!\w){re.escape(expectation.reason)}(?!\w)"
    return not expectation.reason or re.search(word, outcome.reason) is not None


def compare(expected: Mapping[str, Expectation], outcomes: Mapping[str, Outcome]) -> Verdict:
    """A case over its states, which come in the order in which the kernel grows.

    Red without, green with: every state did what was wanted, an earlier one was red by an assertion, the last is green.
    A state without an outcome, or no state at all, is unexpected.
    """
    if not expected or any(state not in outcomes or not meets(expected[state], outcomes[state]) for state in expected):
        return Verdict.UNEXPECTED
    *before, last = (outcomes[state] for state in expected)
    if last.kind is Kind.PASSED and any(outcome.kind is Kind.ASSERTION for outcome in before):
        return Verdict.RED_GREEN
    return Verdict.AS_EXPECTED
