"""A run as nested KTAP: a top-level test for each state, its cases as subtests.

``ok`` means: as expected. A case that had to be red and was is ``ok ... # XFAIL EBADF``, KTAP's word for just that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.catalogue.model import Status
from harness.results.model import CaseResult, RunResult
from harness.verdict.ktap import Directive, Line, Result


def render(result: RunResult) -> str:
    """The whole run as a KTAP stream."""
    states = list(dict.fromkeys(case.state for case in result.cases))
    return dump([_state(state, [case for case in result.cases if case.state == state]) for state in states])


def _state(name: str, cases: Sequence[CaseResult]) -> Result:
    tests = tuple(_case(case) for case in cases)
    return Result(number=0, name=name, ok=all(test.ok for test in tests), subtests=tests)


def _case(case: CaseResult) -> Result:
    outcome = case.outcome
    ok = case.met is not False
    directive = Directive.NONE
    if ok and outcome.status is Status.SKIP:
        directive = Directive.SKIP
    elif ok and outcome.status is not Status.PASS:
        directive = Directive.XFAIL
    comment = "" if outcome.status is Status.PASS and ok else f"{outcome.kind} {outcome.reason}".strip()
    lines = tuple(Line(0, line) for line in outcome.message.split("\n") if line) if not ok else ()
    return Result(number=0, name=case.case, ok=ok, directive=directive, comment=comment, diagnostics=lines)


def dump(tests: Sequence[Result]) -> str:
    """A tree of results as a stream; numbers and plans are counted anew."""
    return "\n".join(("KTAP version 1", *_level(tests, 0))) + "\n"


def _level(tests: Sequence[Result], depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}1..{len(tests)}"
    for number, test in enumerate(tests, start=1):
        if test.subtests:
            yield f"{indent}  KTAP version 1"
            yield from _level(test.subtests, depth + 1)
        for line in test.diagnostics:
            yield f"{indent}# {_flat(line.text)}"
        yield indent + _result(number, test)


def _result(number: int, test: Result) -> str:
    words = ["ok" if test.ok else "not ok", str(number), _flat(test.name).replace("#", "\\#")]
    if test.directive or test.comment:
        words += ["#", test.directive.value, _flat(test.comment)]
    return " ".join(word for word in words if word)


def _flat(text: str) -> str:
    """One line that holds no control character."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
