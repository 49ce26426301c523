"""What a guest left of a case, as a record that can be judged, now and later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.catalogue.model import Suite
from harness.guest import disks
from harness.machine.outcome import Ended, RawResult
from harness.runner.prepare import Ready
from harness.verdict import judge


@dataclass(frozen=True)
class CaseRun:
    """What a case left: the record for the judge, QEMU's command, its disk if it has one, what can replay it."""

    record: judge.CaseRecord
    argv: tuple[str, ...]
    disk: Path | None
    recording: tuple[Path, ...] = ()  # kept when it did not pass
    kept: tuple[Path, ...] = ()  # kept whatever became of it


def program_of(ready: Ready, suite: Suite, case: str) -> tuple[str, str, float]:
    """What the agent is told of a case: program, test, seconds."""
    declared = suite.cases[case]
    return ready.program_of(case), declared.test or case, declared.timeout or suite.timeout


def check(ready: Ready, raw: RawResult, disk: Path | None) -> judge.Check | None:
    """The checker's word, of a disk whose guest came to say that it let go of it."""
    if disk is None or ready.filesystem is None or not ready.filesystem.check or raw.unmount != "ok":
        return None
    checked = disks.check(ready.filesystem, disk)
    return judge.Check(exit=0 if checked.clean else 1, output=checked.output)


def record(ready: Ready, suite: Suite, case: str, raw: RawResult, checked: judge.Check | None) -> judge.CaseRecord:
    """All that is known of the case, for the judge."""
    declared = suite.cases[case]
    status = -raw.signal if raw.signal is not None else raw.exit_code
    return judge.CaseRecord(
        case=case,
        state=ready.state.name,
        ended=judge.Ended.EVENT if raw.ended is Ended.CUT else judge.Ended(raw.ended.value),
        test=declared.test or case,
        exit=status,
        ktap=raw.ktap,
        console=_console(raw),
        unmount="" if raw.unmount == "ok" else raw.unmount,
        left=raw.left,
        check=checked,
        splat=declared.splat,
        detail=raw.detail,
        duration=raw.seconds,
    )


def _console(raw: RawResult) -> str:
    """The case's own part of the console; all of it when the guest never came to the case."""
    start = 0 if raw.ended is Ended.NO_BOOT else raw.console_from
    with raw.console.open("rb") as stream:
        stream.seek(start)
        # A guest that the host gave up on before it came to the case has no part that is the case's.
        return stream.read(max(0, raw.console_to - start)).decode(errors="replace")
