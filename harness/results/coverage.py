"""docs/cases.md: what was asked of the series, which cases answer it, and what the published run says of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.catalogue.model import Catalogue, Question
from harness.results.published import Published

HEAD = """\
# What is covered

Made by `lab list --docs > docs/cases.md` from `testcases/questions.toml`, the `answers` of the cases in each
`suite.toml`, and the runs in `results/published/` (`lab results publish`). A test compares.

"""


@dataclass(frozen=True)
class Tally:
    """Of some cases, over the filesystems they are declared for: how many did what was wanted, in the published run."""

    planned: int = 0
    run: int = 0
    met: int = 0
    elsewhere: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.planned + other.planned, self.run + other.run, self.met + other.met, self.elsewhere + other.elsewhere
        )

    @property
    def words(self) -> str:
        """As expected: 12 of 12; what was not run, and what cannot apply, is said."""
        parts = [f"{self.met} of {self.run} as expected"] if self.run else []
        if self.run < self.planned:
            parts.append(f"{self.planned - self.run} not run")
        if self.elsewhere:
            parts.append(f"{self.elsewhere} cannot apply")
        return ", ".join(parts) or "-"


Runs = Mapping[str, Published]
"""By scenario."""


def page(catalogue: Catalogue, published: Runs, others: Mapping[str, Runs] | None = None) -> str:
    """The whole page, with a newline at its end. ``others`` are the runs on other kinds of kernels."""
    lines = [*_summary(catalogue), *_questions(catalogue, published), *_open(catalogue)]
    lines += [*_suites(catalogue, published), *_elsewhere(catalogue), *_unexpected(catalogue, published), ""]
    lines += _others(others or {})
    return HEAD + "\n".join(lines).rstrip() + "\n"


def answers(catalogue: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """The cases that answer each question, as (suite, case)."""
    found: dict[str, list[tuple[str, str]]] = {number: [] for number in catalogue.questions}
    for suite, declared in sorted(catalogue.suites.items()):
        for name, case in declared.cases.items():
            for number in case.answers:
                found[str(number)].append((suite, name))
    return found


def _state(question: Question, cases: list[tuple[str, str]]) -> str:
    if question.refuted:
        return "refuted"
    if not cases:
        return "not covered"
    return "covered in part" if question.missing else "covered"


def _summary(catalogue: Catalogue) -> Iterator[str]:
    found = answers(catalogue)
    states = [_state(question, found[number]) for number, question in catalogue.questions.items()]
    told = [f"{states.count(word)} {word}" for word in ("covered", "covered in part", "refuted", "not covered")]
    yield f"{len(states)} questions: {', '.join(told)}."
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ") or "-"


def _questions(catalogue: Catalogue, published: Mapping[str, Published]) -> Iterator[str]:
    yield "## Questions"
    yield ""
    yield "| | asked | after the checkpoint | after the restart | source | cases | published run |"
    yield "|---|---|---|---|---|---|---|"
    for number, cases in answers(catalogue).items():
        question = catalogue.questions[number]
        tally = sum((_tally(catalogue, published, suite, case) for suite, case in cases), Tally())
        told = tally.words if cases else _state(question, cases)
        row = (question.title, question.checkpoint, question.restart, question.source, _named(cases), told)
        yield f"| {number} | {' | '.join(_cell(text) for text in row)} |"
    yield ""


def _named(cases: list[tuple[str, str]]) -> str:
    """``suite``: its cases; the suites one after the other."""
    by_suite: dict[str, list[str]] = {}
    for suite, case in cases:
        by_suite.setdefault(suite, []).append(case)
    return "<br>".join(f"**{suite}** {', '.join(f'`{name}`' for name in names)}" for suite, names in by_suite.items())


def _tally(catalogue: Catalogue, published: Mapping[str, Published], suite: str, case: str) -> Tally:
    total = Tally()
    for scenario in catalogue.scenarios().values():
        if scenario.suite != suite:
            continue
        if catalogue.suites[suite].cases[case].why_not_on(catalogue.names_of(scenario)):
            total += Tally(elsewhere=1)
            continue
        run = published.get(scenario.name)
        ran = run is not None and case in run.cases
        total += Tally(planned=1, run=int(ran), met=int(run is not None and ran and case not in run.unexpected))
    return total


def _open(catalogue: Catalogue) -> Iterator[str]:
    found = answers(catalogue)
    yield "## Refuted, and not covered"
    yield ""
    yield "| | asked | | why |"
    yield "|---|---|---|---|"
    for number, question in catalogue.questions.items():
        state = _state(question, found[number])
        if state != "covered":
            why = question.refuted or question.missing or "no case yet"
            yield f"| {number} | {_cell(question.title)} | {state} | {_cell(why)} |"
    yield ""


def _suites(catalogue: Catalogue, published: Mapping[str, Published]) -> Iterator[str]:
    yield "## Suites"
    yield ""
    yield "| suite | what | cases | filesystems | published run |"
    yield "|---|---|---|---|---|"
    for name, suite in sorted(catalogue.suites.items()):
        tally = sum((_tally(catalogue, published, name, case) for case in suite.cases), Tally())
        filesystems = ", ".join(catalogue.filesystems_of(name)) or "none"
        yield f"| {name} | {_cell(suite.title)} | {len(suite.cases)} | {filesystems} | {tally.words} |"
    yield ""


def _elsewhere(catalogue: Catalogue) -> Iterator[str]:
    rows = [
        f"| {suite}/{name} | {place} | {_cell(why)} |"
        for suite, declared in sorted(catalogue.suites.items())
        for name, case in declared.cases.items()
        for place, why in case.not_on.items()
    ]
    yield from ("## Where a case cannot apply", "", "| case | on | why |", "|---|---|---|", *rows, "")


def _unexpected(catalogue: Catalogue, published: Mapping[str, Published]) -> Iterator[str]:
    """What the published run had that nobody wanted, and what it ran on."""
    if not published:
        yield from ("## The published run", "", "Nothing is published.")
        return
    kernels = sorted({kernel.label for run in published.values() for kernel in run.kernels})
    ends = sorted(run.finished for run in published.values())
    commits = sorted({run.commit for run in published.values()})
    yield from ("## The published run", "")
    count = f"{len(published)} of {len(catalogue.scenarios())} scenarios"
    yield f"{count}, {ends[0]} to {ends[-1]}, at {', '.join(commits)}."
    yield ""
    yield from (f"- {label}" for label in kernels)
    yield ""
    rows = [
        f"| {run.scenario}/{case} | {_cell(', '.join(map(': '.join, zip(run.states, run.cases[case], strict=True))))} |"
        for run in published.values()
        for case in run.unexpected
    ]
    if rows:
        yield from ("Not as expected:", "", "| case | outcome |", "|---|---|", *rows)
    else:
        yield "All as expected."


def _others(others: Mapping[str, Runs]) -> Iterator[str]:
    """What was run on other bases, and on kernels with further fragments."""
    if not others:
        return
    yield from (
        "## On other kernels",
        "",
        "| kernel | scenarios | cases in their states | not as expected |",
        "|---|---|---|---|",
    )
    for kind, runs in others.items():
        cases = sum(len(run.cases) * len(run.states) for run in runs.values())
        wrong = [f"{run.scenario}/{case}" for run in runs.values() for case in run.unexpected]
        yield f"| {kind} | {len(runs)} | {cases} | {', '.join(wrong) or 'none'} |"
