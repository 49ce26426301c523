"""From a series on the desk to a review: each patch walked, each case run at each patch, what it covers and costs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from harness import process
from harness.catalogue.load import nearest, select
from harness.errors import DeclarationError, UserError
from harness.plan import WITH, WITHOUT, Job, Request, plan
from harness.results import facts, files
from harness.results.model import CaseResult, Kernel, Sandbox
from harness.results.run import now, stamp
from harness.review import answers, decode, matrix, patches, recall, remarks
from harness.review.answers import Answer
from harness.review.coverage import measure
from harness.review.desk import Desk
from harness.review.model import Cost, Coverage, Flaky, Ran, Review
from harness.runner import exact
from harness.runner import run as runs
from harness.runner import walk as walks
from harness.runner.checked import Check, Outcome, Report, Row
from harness.runner.company import company
from harness.runner.prepare import Wishes

ANSWERS = "REVIEW.md"
"""Beside a series' patches: what it answers to earlier remarks."""


class Watcher(walks.Watcher, runs.Watcher, Protocol):
    """Who is told of a review."""


@dataclass(frozen=True)
class Ask:
    """What a review is to find out. ``patterns`` are scenarios and cases, ``costs`` those that count instructions.

    ``repeat`` runs each case so often without the series and with it; ``fresh`` takes no run of an earlier review.
    ``answers`` is the series' REVIEW.md, if it is not beside its patches.
    """

    argv: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    checks: tuple[Check, ...] = tuple(Check)
    coverage: bool = False
    costs: tuple[str, ...] = ()
    repeat: int = 0
    fresh: bool = False
    answers: Path | None = None


def gather(desk: Desk, ask: Ask, wishes: Wishes, watcher: Watcher) -> Review:
    """All of it. A red patch is recorded and the work goes on.

    Raises UserError, InfraError: what no patch is to blame for.
    """
    return _Gathering(desk, ask, wishes, watcher).all()


@dataclass
class _Gathering:
    """What the steps of one review share."""

    desk: Desk
    ask: Ask
    wishes: Wishes
    watcher: Watcher
    done: list[recall.Done] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.desk.patches)

    def all(self) -> Review:
        started = time.monotonic()
        desk = self.desk
        # What cannot be asked for is told before the hours that the rest takes.
        for job in self._jobs((*self.ask.patterns, *self.ask.costs), [WITH]):
            self._claims_are_of_this_series(job)
        told = self._told()
        report = walks.walk(
            desk.place, walks.declared(desk.place, desk.name, desk.base), self.wishes, self.watcher, self.ask.checks
        )
        unbuilt = [row.patch.number for row in report.rows if not _built(row)]
        rows = tuple(self._matrix(unbuilt)) if self.ask.patterns else ()
        return Review(
            title=desk.posting.title,
            author=desk.posting.author,
            version=desk.posting.version,
            versions=desk.posting.versions,
            message_id=desk.posting.message_id,
            cover=patches.cover(desk),
            base=desk.chosen.candidate.label,
            why_base=desk.chosen.why,
            notes=desk.chosen.notes,
            created=stamp(now()),
            argv=self.ask.argv,
            patches=tuple(patches.of(desk, report)),
            matrix=rows,
            not_run=tuple(self._not_run(report, unbuilt)),
            remarks=tuple(remarks.of(desk)),
            answers=tuple(self._answers(told, rows)),
            coverage=self._coverage(unbuilt),
            costs=tuple(self._costs(unbuilt)),
            flaky=tuple(self._flaky(unbuilt)),
            runs=tuple(_runs(self.done)),
            kernels=self._kernels(),
            tools=facts.tools(),
            sandbox=Sandbox(used=process.sandbox_works()),
            accel=self._accel(),
            seconds=round(time.monotonic() - started, 1),
        )  # fmt: skip

    def _claims_are_of_this_series(self, job: Job) -> None:
        """Raises DeclarationError for a claim of a suite's own series that names no patch of it."""
        if job.suite.series != self.desk.name:
            return
        titles = [patch.title for patch in self.desk.patches]
        for case in job.cases:
            pattern = matrix.claimed_by(job.suite, case)
            if pattern and not matrix.claim(job.suite, case, titles):
                near = nearest(pattern, titles)
                raise DeclarationError(
                    f"testcases/{job.scenario.suite}/suite.toml",
                    f"green_from of {case}: {self.desk.name} has no patch {pattern!r}",
                    hint=f"did you mean {near!r}?" if near else None,
                )

    def _told(self) -> list[answers.Told]:
        """What the series tells of earlier remarks. Raises UserError for a file that was named and tells nothing."""
        path = self.ask.answers or self.desk.place.catalogue.folder_of(self.desk.name) / ANSWERS
        told = answers.read(files.read_text(path)) if path.is_file() else []
        if self.ask.answers and not told:
            raise UserError(f"{path}: no table of it has a column 'remark'", hint="docs/review.md has the format")
        return told

    def _answers(self, told: list[answers.Told], rows: tuple[matrix.Row, ...]) -> Iterator[Answer]:
        """The same, held against this review."""
        titles = dict(zip(self.desk.numbers, (patch.title for patch in self.desk.patches), strict=True))
        suites = self.desk.place.catalogue.suites
        declared = [f"{name}/{case}" for name, suite in suites.items() for case in suite.cases]
        yield from answers.hold(told, titles, rows, declared)

    def _jobs(self, patterns: tuple[str, ...], at: list[str]) -> tuple[Job, ...]:
        catalogue = self.desk.place.catalogue
        request = Request(base=self.desk.base, series=self.desk.name, at=tuple(at))
        return plan(catalogue, select(catalogue, patterns), request)

    def _matrix(self, unbuilt: list[int]) -> Iterator[matrix.Row]:
        """Every case at every patch whose kernel is there."""
        titles = [patch.title for patch in self.desk.patches]
        jobs = self._jobs(self.ask.patterns, matrix.states(self.count, unbuilt))
        shared = company(self.desk.place.catalogue, [job.scenario for job in jobs])
        for job in jobs:
            done = self._run(job, self.wishes, shared=shared[job.scenario])
            for case in job.cases:
                results = [verdict.result for verdict in done.of(case)]
                yield self._placed(matrix.row(job.scenario.name, job.suite, case, results, titles), done)

    def _placed(self, row: matrix.Row, done: recall.Done) -> matrix.Row:
        """The row with its folders named from results/runs on, and its traces with files and lines."""
        kernels = {kernel.state: self.desk.place.cache.path("kernels", kernel.key) for kernel in done.kernels}
        cells = {
            matrix.column(verdict.result.state, self.count): (verdict, kernels[verdict.result.state])
            for verdict in done.of(row.case)
        }
        placed = {state: self._cell(row.cells[state], *cell) for state, cell in cells.items()}
        return msgspec.structs.replace(row, cells=placed)

    def _cell(self, cell: matrix.Cell, verdict: recall.Verdict, kernel: Path) -> matrix.Cell:
        return msgspec.structs.replace(
            cell,
            where=f"{verdict.run}/{cell.where}",
            splats=tuple(decode.lines(kernel, splat) for splat in cell.splats),
            since=verdict.since,
            like=matrix.column(verdict.like, self.count) if verdict.like else "",
        )

    def _run(self, job: Job, wishes: Wishes, nth: int = 0, shared: tuple[str, ...] = ()) -> recall.Done:
        place, ask = self.desk.place, self.ask
        done = recall.run_once(
            place, job, wishes, self.watcher, ask.argv, fresh=ask.fresh, nth=nth, company=shared
        )  # fmt: skip
        self.done.append(done)
        return done

    def _not_run(self, report: Report, unbuilt: list[int]) -> Iterator[tuple[str, str]]:
        """States without cases, and why."""
        numbers = self.desk.numbers
        for row in report.rows:
            if row.patch.number in unbuilt and self.ask.patterns:
                red = next((result for result in row.results if result.outcome is Outcome.RED), None)
                yield str(numbers[row.patch.number - 1]), red.check.value if red else "not built"

    def _ends(self, unbuilt: list[int]) -> list[str]:
        """Without and with the series; nothing when the tip has no kernel."""
        return [] if self.count in unbuilt else [WITHOUT, WITH]

    def _costs(self, unbuilt: list[int]) -> Iterator[Cost]:
        ends = self._ends(unbuilt)
        if not self.ask.costs or not ends:
            return
        counting = exact.wishes(self.wishes)
        for job in self._jobs(self.ask.costs, ends):
            results = tuple(verdict.result for verdict in self._run(job, counting).verdicts)
            yield from _numbers(job, results)

    def _flaky(self, unbuilt: list[int]) -> Iterator[Flaky]:
        ends = self._ends(unbuilt)
        if not self.ask.repeat or not ends:
            return
        for job in self._jobs(self.ask.patterns, ends):
            failed: dict[tuple[str, str], int] = {}
            for nth in range(1, self.ask.repeat + 1):
                for result in (verdict.result for verdict in self._run(job, self.wishes, nth).verdicts):
                    key = (result.case, result.state)
                    failed[key] = failed.get(key, 0) + (result.met is False)
            for case in job.cases:
                before, after = (failed.get((case, state), 0) for state in (WITHOUT, WITH))
                yield Flaky(
                    scenario=job.scenario.name, case=case, failed_before=before, failed_after=after,
                    runs=self.ask.repeat,
                )  # fmt: skip

    def _coverage(self, unbuilt: list[int]) -> Coverage | None:
        if not self.ask.coverage or self.count in unbuilt:
            return None
        jobs = self._jobs(self.ask.patterns, [WITH])
        return measure(self.desk, jobs, self.wishes, self.watcher, fresh=self.ask.fresh)

    def _kernels(self) -> tuple[Kernel, ...]:
        return tuple({kernel.key: kernel for done in self.done for kernel in done.kernels}.values())

    def _accel(self) -> str:
        if not self.done:
            return ""
        found = self.done[0].accel
        return f"{found.name} ({found.reason})" if found.reason else found.name


def _runs(all_done: Sequence[recall.Done]) -> Iterator[Ran]:
    """The runs that verdicts are from, in the order in which they were asked."""
    verdicts = [(done.job.scenario.name, verdict) for done in all_done for verdict in done.verdicts]
    counts = Counter(verdict.run for _, verdict in verdicts)
    for scenario, verdict in {verdict.run: (scenario, verdict) for scenario, verdict in verdicts}.values():
        yield Ran(scenario=scenario, folder=verdict.run, verdicts=counts[verdict.run], since=verdict.since)


def _built(row: Row) -> bool:
    result = row.of(Check.BUILD)
    return result is None or result.outcome is Outcome.GOOD


def _numbers(job: Job, results: tuple[CaseResult, ...]) -> Iterator[Cost]:
    by_case: dict[str, dict[str, CaseResult]] = {}
    for result in results:
        by_case.setdefault(result.case, {})[result.state] = result
    for case, states in by_case.items():
        names = dict.fromkeys(name for result in states.values() for name in result.outcome.costs)
        for name in names:
            before, after = (
                states[state].outcome.costs.get(name) if state in states else None for state in (WITHOUT, WITH)
            )
            yield Cost(scenario=job.scenario.name, case=case, name=name, before=before, after=after)
