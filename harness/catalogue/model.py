"""What can be asked for, as frozen values. Each mirrors one kind of TOML file; unknown keys are errors."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A value read from a TOML file."""


class Status(StrEnum):
    """KCIDB's words for the outcome of a test, worst first (KCIDB schema v5.3, `tests.status`)."""

    FAIL = "FAIL"
    ERROR = "ERROR"
    MISS = "MISS"
    PASS = "PASS"
    DONE = "DONE"
    SKIP = "SKIP"


class Kind(StrEnum):
    """What exactly happened to a case. Each belongs to one status (``STATUS_OF``)."""

    PASSED = "passed"
    ASSERTION = "assertion"
    SKIPPED = "skipped"
    NO_TESTS = "no-tests"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    HANG = "hang"
    PANIC = "panic"
    OOPS = "oops"
    SPLAT = "splat"
    DIRTY = "dirty"
    NO_BOOT = "no-boot"
    LOST = "lost"
    KILLED = "killed"


STATUS_OF = {
    Kind.PASSED: Status.PASS,
    Kind.ASSERTION: Status.FAIL,
    Kind.SKIPPED: Status.SKIP,
    Kind.NO_TESTS: Status.MISS,
    Kind.CRASHED: Status.ERROR,
    Kind.TIMEOUT: Status.ERROR,
    Kind.HANG: Status.FAIL,
    Kind.PANIC: Status.FAIL,
    Kind.OOPS: Status.FAIL,
    Kind.SPLAT: Status.FAIL,
    Kind.DIRTY: Status.FAIL,
    Kind.NO_BOOT: Status.MISS,
    Kind.LOST: Status.ERROR,
    Kind.KILLED: Status.MISS,
}
"""passed .. the assertion alone is the wanted red of a suite that says no more than FAIL.

no-tests: the program ran nothing. crashed: it ended before its plan was complete. timeout: the guest lives, the case
does not end. hang: the guest is silent. dirty: the filesystem's checker complains, or it cannot be unmounted.
no-boot: never ready. lost: QEMU ended on its own. killed: the user stopped the run.
"""


class Event(StrEnum):
    """What ends a phase of a case, when the case asks for it; the next phase is the same test on the same disk."""

    POWER_CUT = "power cut"  # QEMU is killed: what its disk has completed is on the image, the rest never was
    PANIC = "panic"  # the case panics its kernel; the disk as with a power cut
    REBOOT = "reboot"  # tasks are killed, the filesystem is unmounted and checked; then another guest
    REMOUNT = "remount"  # the same, but the same guest: its memory and /tmp stay
    COPY = "copy"  # as reboot, and the other guest has the spare disk, on which the case made a copy, as its first
    SNAPSHOT = "snapshot"  # the disk is copied while the guest stands still, and phase 1 goes on to its own end


class Base(Declared, frozen=True, kw_only=True):
    """kernel-patches/bases/<name>.toml: where a kernel source comes from. Exactly one of package, git, tarball, url."""

    title: str
    package: str = ""  # a Debian source package that holds a tarball, e.g. linux-source-6.12
    git: str = ""  # a local git tree
    ref: str = "HEAD"  # what to take of it
    tarball: str = ""  # a local file
    url: str = ""
    sha256: str = ""  # required with url
    config: tuple[str, ...] = ()  # fragments of kernel-patches/config every kernel of this base gets, in order


class Excuse(Declared, frozen=True, kw_only=True):
    """A complaint of a checker that a series explains. ``patch`` and ``file`` are shell patterns."""

    kind: str  # as the checker names it: FILE_PATH_CHANGES, -Wunused-function
    patch: str = "*"  # on the patch's file name
    file: str = "*"  # on the path in the tree that the complaint is about
    reason: str


class Rules(Declared, frozen=True, kw_only=True):
    """[check] of a series.toml: what `lab series check` holds a series to, beyond what every series must do."""

    off: tuple[str, ...] = ()  # options: with these off, no patch may change code outside the lines it touches
    excuses: tuple[Excuse, ...] = ()


class Series(Declared, frozen=True, kw_only=True):
    """kernel-patches/<name>/series.toml beside the patches and their order in ``series``."""

    title: str
    bases: tuple[str, ...]  # the bases it applies to, the first is the one it was written for
    requires: tuple[str, ...] = ()  # series applied before it
    check: Rules = Rules()
    tools: tuple[str, ...] = ()  # programs of testcases/tools that read what it makes, on the host too (lab tool)


class Image(Declared, frozen=True, kw_only=True):
    """images/<name>/image.toml: what the guest's userspace is made of."""

    title: str
    memory: int = 256  # MiB
    cpus: int = 1
    busybox: bool = True
    tools: tuple[str, ...] = ()  # programs of testcases/tools built into /bin


class Filesystem(Declared, frozen=True, kw_only=True):
    """images/filesystems/<name>.toml: how the disk under test is made, mounted and checked."""

    title: str
    groups: tuple[str, ...] = ()  # names that suites may use for all filesystems that have them in common
    type: str  # as mount(2) has it
    size: int = 64  # MiB; 0 for none (tmpfs)
    mkfs: str = ""  # run on the host; {disk} is the image file
    mount: str = ""  # mount options, comma separated
    check: str = ""  # run on the host after every case, {disk} is the image file; exit 0 is clean
    needs: tuple[str, ...] = ()  # kernel options, e.g. CONFIG_XFS_FS


class Expectation(Declared, frozen=True, kw_only=True):
    """The wanted outcome of a case in one state of the kernel."""

    status: Status
    kind: Kind | None = None  # FAIL alone means the assertion, never a panic, a splat or a hang
    reason: str = ""  # a word the outcome's reason must contain, e.g. EBADF

    @property
    def wanted_kind(self) -> Kind | None:
        """The kind that must have happened, or None when the status alone decides."""
        if self.kind is None and self.status is Status.FAIL:
            return Kind.ASSERTION
        return self.kind


class Splat(Declared, frozen=True, kw_only=True):
    """A kernel complaint that a case provokes on purpose."""

    pattern: str  # a regular expression on the splat's title line
    reason: str


class Case(Declared, frozen=True, kw_only=True):
    """One TEST of a program."""

    title: str
    test: str = ""  # the harness's own name for it (kselftest -l), when it is not the key
    program: str = ""  # default: the suite's only program
    source: str = ""  # who asked: a mail, a test, a scenario of docs/
    timeout: float = 0  # seconds; 0: the suite's
    answers: tuple[int | str, ...] = ()  # what it is a case of: numbers of testcases/questions.toml
    green_from: str = (
        ""  # the patch (its subject, a shell pattern) that makes it what it is at the tip; else the suite's
    )
    expect: dict[str, Expectation] = {}  # by state: base, without, with
    expect_on: dict[str, dict[str, Expectation]] = {}  # the same on a filesystem, or on a group of them
    not_on: dict[str, str] = {}  # filesystems, or groups, on which it cannot apply, and why
    splat: Splat | None = None
    phases: tuple[Event, ...] = ()  # the test runs once more than there are events, with LAB_PHASE=1, 2, ...
    cuts: bool = False  # the writes of phase 1 are recorded, and phase 2 runs once for each place to cut them off
    cut: int | None = None  # with cuts: only this one

    def on(self, names: Sequence[str]) -> Case:
        """The case with what it must do on one filesystem, given by its own name and then its groups'."""
        own = [self.expect_on[name] for name in names if name in self.expect_on]
        expect = {state: wanted for known in (self.expect, *reversed(own)) for state, wanted in known.items()}
        return msgspec.structs.replace(self, expect=expect, expect_on={})

    def why_not_on(self, names: Sequence[str]) -> str:
        """Why it cannot apply to a filesystem, given as for ``on``; empty when it can."""
        return next((self.not_on[name] for name in names if name in self.not_on), "")


class Question(Declared, frozen=True, kw_only=True):
    """testcases/questions.toml: what somebody asked of the series, and what has to be true. Cases answer it."""

    title: str
    checkpoint: str = ""  # what holds after the first half
    restart: str = ""  # what holds after the second
    source: str
    refuted: str = ""  # why there is nothing to test
    missing: str = ""  # what of it no case covers yet


class Questions(Declared, frozen=True, kw_only=True):
    """testcases/questions.toml, by number."""

    questions: dict[str, Question]


class Suite(Declared, frozen=True, kw_only=True):
    """testcases/<name>/suite.toml: programs in kselftest style, their cases, and what each must do in which state."""

    title: str
    # A scenario for each, or for each of a group; none: the guest runs without a disk, the scenario is the suite.
    filesystems: tuple[str, ...] = ()
    series: str = ""  # the series under test; none: the cases run on the base alone
    image: str = "tiny"
    cpus: int = 0  # processors of the guest; 0: the image's
    programs: tuple[str, ...] = ()  # default: every *_test.c in the folder
    host: tuple[str, ...] = ()  # programs of the host that its guests have too, in /bin
    timeout: float = 20  # seconds a case may take
    green_from: str = ""  # the patch (its subject, a shell pattern) from which on cases must do what they do at the tip
    expect: dict[str, Expectation] = {}  # for every case that does not say otherwise
    cases: dict[str, Case]

    def with_cuts(self, names: Iterable[str]) -> Suite:
        """The suite with a case of its own for each name like ``relink@17``: that cut of the case alone."""
        more = {name: self._one_cut(name) for name in names if name not in self.cases}
        return msgspec.structs.replace(self, cases=self.cases | more) if more else self

    def _one_cut(self, name: str) -> Case:
        case, _, number = name.partition("@")
        own = self.cases[case]
        return msgspec.structs.replace(own, test=own.test or case, cut=int(number))

    def expectation(self, case: str, state: str) -> Expectation:
        """What ``case`` must do in ``state`` (base, without, with); PASS when nobody says."""
        own = self.cases[case].expect.get(state)
        return own or self.expect.get(state) or Expectation(status=Status.PASS)

    def on(self, names: Sequence[str]) -> Suite:
        """The suite on one filesystem, given by its name and its groups: see ``Case.on``."""
        return msgspec.structs.replace(self, cases={name: case.on(names) for name, case in self.cases.items()})


class Known(Declared, frozen=True, kw_only=True):
    """A table of known-splats.toml: a complaint that is known, by its fingerprint. It stays red; it is no news."""

    title: str  # as the lab names it
    reason: str  # where it is tracked, who fixes it
    expires: datetime.date  # the last day on which it is known; afterwards it is news again


class KnownSplats(Declared, frozen=True, kw_only=True):
    """known-splats.toml in the workspace."""

    splats: dict[str, Known] = {}


class Scenario(msgspec.Struct, frozen=True):
    """A suite on a filesystem: ``<filesystem>-<suite>``, or the suite's own name when it wants no filesystem."""

    name: str
    suite: str
    filesystem: str | None


class Posted(msgspec.Struct, frozen=True):
    """A series that came by mail: where its files are, and the quarantine that it is built in."""

    folder: Path
    quarantine: str


class Catalogue(msgspec.Struct, frozen=True):
    """All that a workspace declares, by name."""

    root: Path
    bases: dict[str, Base]
    fragments: dict[str, Path]
    series: dict[str, Series]
    images: dict[str, Image]
    filesystems: dict[str, Filesystem]
    suites: dict[str, Suite]
    known: dict[str, Known] = {}
    questions: dict[str, Question] = {}

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The filesystems of each group, by the group's name."""
        found: dict[str, tuple[str, ...]] = {}
        for name, filesystem in self.filesystems.items():
            for group in filesystem.groups:
                found[group] = (*found.get(group, ()), name)
        return found

    def filesystems_of(self, suite: str) -> tuple[str, ...]:
        """The filesystems that a suite runs on, groups resolved, each once."""
        return self._resolved(suite, self.groups())

    def _resolved(self, suite: str, groups: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        named = self.suites[suite].filesystems
        return tuple(dict.fromkeys(each for name in named for each in groups.get(name, (name,))))

    posted: dict[str, Posted] = {}

    def folder_of(self, series: str) -> Path:
        """Where the patches of a series are."""
        return self.posted[series].folder if series in self.posted else self.root / "kernel-patches" / series

    def scenarios(self) -> dict[str, Scenario]:
        """Every scenario, by name, sorted by suite."""
        found: dict[str, Scenario] = {}
        groups = self.groups()
        for name, suite in sorted(self.suites.items()):
            if not suite.filesystems:
                found[name] = Scenario(name, name, None)
            for filesystem in self._resolved(name, groups):
                found[f"{filesystem}-{name}"] = Scenario(f"{filesystem}-{name}", name, filesystem)
        return found

    def names_of(self, scenario: Scenario) -> tuple[str, ...]:
        """What declarations may call the scenario's filesystem: its own name, then its groups'."""
        if scenario.filesystem is None:
            return ()
        return (scenario.filesystem, *self.filesystems[scenario.filesystem].groups)
