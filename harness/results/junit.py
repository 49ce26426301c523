"""A run as JUnit XML: a suite for each state. What was expected passes, the wanted red too; all else fails.

Outcome and expectation stand as properties of every case, so that a wanted red can be told from a pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from junitparser import Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

from harness.catalogue.model import Status
from harness.results.model import CaseResult, RunResult
from harness.results.text import wanted, word

_PROPERTIES: Any = Properties  # its constructor has no annotation
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """Text that XML 1.0 can hold."""
    return _ILLEGAL.sub("\ufffd", text)


def render(result: RunResult) -> str:
    """The XML document."""
    document: Any = JUnitXml(legal(result.scenario))
    for state in dict.fromkeys(case.state for case in result.cases):
        document.add_testsuite(_suite(result, state, [case for case in result.cases if case.state == state]))
    document.update_statistics()
    written: bytes = document.tostring()
    return written.decode()


def _suite(result: RunResult, state: str, cases: Sequence[CaseResult]) -> TestSuite:
    suite = TestSuite(legal(f"{result.scenario} {state}"))
    suite.timestamp = result.started
    for case in cases:
        suite.add_testcase(_case(result.scenario, case))
    return suite


def _case(scenario: str, case: CaseResult) -> Any:
    entry: Any = TestCase(legal(case.case), legal(f"{scenario}.{case.state}"), round(case.outcome.duration, 3))
    properties = _PROPERTIES()
    properties.append(Property("outcome", legal(word(case.outcome))))
    if case.expected is not None:
        properties.append(Property("expected", legal(wanted(case.expected))))
    entry.append(properties)
    entry.result = _result(case)
    if case.outcome.message:
        entry.system_out = legal(case.outcome.message)
    return entry


def _result(case: CaseResult) -> list[Failure | Error | Skipped]:
    """Nothing for what is as expected (or not promised), but that a skip stays visible as one."""
    outcome = case.outcome
    reason = legal(f"{outcome.kind}: {outcome.reason}")
    if case.met is not False:
        return [Skipped(reason)] if outcome.status is Status.SKIP else []
    told = reason + (f"; wanted {wanted(case.expected)}" if case.expected else "")
    kind = Error if outcome.status in (Status.ERROR, Status.MISS) else Failure
    return [kind(legal(told), str(outcome.kind))]
