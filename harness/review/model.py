"""A review as a value: review.json, and all that the reports are made of."""

from __future__ import annotations

import msgspec

from harness.results.model import Kernel, Sandbox, Tools
from harness.review.answers import Answer
from harness.review.matrix import Row, Turn
from harness.runner.checked import Result
from harness.verdict.rate import Rate

VERSION = 1


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch and what became of it. ``number`` is that of the mail.

    ``given`` are trailers that replies gave it; ``refused`` is why it does not apply, then it has no results.
    """

    number: int
    title: str
    author: str = ""
    message: str = ""
    diff: str = ""
    message_id: str = ""
    trailers: tuple[tuple[str, str], ...] = ()
    given: tuple[tuple[str, str], ...] = ()
    results: tuple[Result, ...] = ()
    refused: str = ""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A remark on patch ``number`` (0: on all of it), at a line of the new file, or of the old one if ``removed``."""

    number: int
    author: str
    text: str
    place: str
    file: str = ""
    line: int = 0
    removed: bool = False


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """An executable line that the series adds, at its tip. ``patch`` brought it, as line ``at``; ``cases`` ran it."""

    file: str
    line: int
    patch: int
    at: int
    text: str
    function: str = ""
    cases: tuple[str, ...] = ()


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the added executable lines were run. ``not_measured`` are files, each with the reason.

    ``since`` is when an earlier review counted, on the same kernel with the same programs; "" when this one did.
    """

    lines: tuple[Added, ...] = ()
    not_measured: tuple[tuple[str, str], ...] = ()
    since: str = ""
    seconds: float = 0.0

    @property
    def run(self) -> int:
        return sum(bool(line.cases) for line in self.lines)

    @property
    def missed(self) -> tuple[Added, ...]:
        return tuple(line for line in self.lines if not line.cases)


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a case that counts instructions, without and with the series; None where it has none."""

    scenario: str
    case: str
    name: str
    before: int | None
    after: int | None


class Flaky(msgspec.Struct, frozen=True, kw_only=True):
    """How often a case missed what was wanted of it, in so many runs without and with the series."""

    scenario: str
    case: str
    failed_before: int
    failed_after: int
    runs: int

    @property
    def before(self) -> Rate:
        return Rate(self.failed_before, self.runs)

    @property
    def after(self) -> Rate:
        return Rate(self.failed_after, self.runs)

    @property
    def differs(self) -> bool:
        """Whether the two intervals have nothing in common: then chance alone is a poor explanation."""
        (low, high), (other_low, other_high) = self.before.interval, self.after.interval
        return high < other_low or other_high < low


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A run that verdicts are from: its folder's name below results/runs, and how many of them.

    ``since`` is when it was, if it was an earlier one: its kernels and guests are the same byte for byte.
    """

    scenario: str
    folder: str
    verdicts: int = 0
    since: str = ""


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """review.json."""

    title: str
    author: str = ""
    version: int = 1
    versions: tuple[int, ...] = ()
    message_id: str = ""
    cover: str = ""
    base: str
    why_base: str
    notes: tuple[str, ...] = ()
    created: str
    argv: tuple[str, ...]
    patches: tuple[Patch, ...]
    matrix: tuple[Row, ...] = ()
    not_run: tuple[tuple[str, str], ...] = ()
    remarks: tuple[Said, ...] = ()
    answers: tuple[Answer, ...] = ()
    coverage: Coverage | None = None
    costs: tuple[Cost, ...] = ()
    flaky: tuple[Flaky, ...] = ()
    runs: tuple[Ran, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    tools: Tools = Tools()
    sandbox: Sandbox | None = None
    accel: str = ""
    seconds: float = 0.0
    schema: int = VERSION

    @property
    def patches_good(self) -> bool:
        return all(not patch.refused and all(_good(result) for result in patch.results) for patch in self.patches)

    @property
    def cases_good(self) -> bool:
        return all(row.met for row in self.matrix)

    @property
    def good(self) -> bool:
        """Whether all is as promised, and something was looked at."""
        looked = bool(self.ran) or any(patch.results for patch in self.patches)
        return looked and self.patches_good and self.cases_good and not any(flaky.differs for flaky in self.flaky)

    @property
    def tested(self) -> bool:
        """Whether a ``Tested-by:`` may be given: cases were run, and all is as promised."""
        return bool(self.ran) and self.good and not self.not_run

    @property
    def ran(self) -> tuple[Row, ...]:
        """The cases that were run: not those that are not for their filesystem."""
        return tuple(row for row in self.matrix if row.turn is not Turn.APART)

    @property
    def question(self) -> str:
        """What ``good`` answers. Nothing was promised where no case was run."""
        return "all as promised" if self.ran else "all checks good, no case was run"

    def position(self, patch: Patch) -> int:
        """Which state of the matrix a patch is: those that do not apply are none (0)."""
        applied = [each.number for each in self.patches if not each.refused]
        return 0 if patch.refused else applied.index(patch.number) + 1

    def turned_by(self, number: int) -> tuple[Row, ...]:
        """The cases that a patch turned."""
        return tuple(row for row in self.matrix if row.found == number and row.turn is not Turn.NEVER)


def _good(result: Result) -> bool:
    return result.outcome.value != "red"
