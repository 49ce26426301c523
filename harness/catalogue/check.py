"""Declarations against each other: every name that one uses must be declared by another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.catalogue.model import Case, Catalogue, Suite
from harness.catalogue.words import did_you_mean, where
from harness.errors import DeclarationError
from harness.paths import Workspace

STATES = ("base", "without", "with")


def check(workspace: Workspace, catalogue: Catalogue) -> None:
    """Raises DeclarationError for the first name that is not declared, or the first contradiction."""
    _check_folders(workspace.suites, "*_test.c", "suite.toml", "a suite's programs")
    _check_folders(workspace.series, "[0-9][0-9][0-9][0-9]-*.patch", "series.toml", "a series' patches")
    _check_bases(workspace, catalogue)
    _check_series(workspace, catalogue)
    _check_groups(workspace, catalogue)
    for name, suite in catalogue.suites.items():
        _check_suite(workspace.suites / name / "suite.toml", suite, catalogue)


def _check_folders(parent: Path, pattern: str, declaration: str, what: str) -> None:
    """What nobody declares is never run, and nobody would miss it."""
    for folder in sorted({path.parent for path in parent.glob(f"*/{pattern}")}):
        if not (folder / declaration).exists():
            raise DeclarationError(str(folder), f"has {what} and no {declaration}", hint="write one, or move them away")


def _known(path: Path, key: str, word: str, known: Iterable[str], what: str) -> None:
    if word not in known:
        place = where(path, path.read_text(), key, word)
        raise DeclarationError(place, f"{key}: there is no {what} {word!r}", hint=did_you_mean(word, known))


def _check_bases(workspace: Workspace, catalogue: Catalogue) -> None:
    for name, base in catalogue.bases.items():
        path = workspace.find(f"kernel-patches/bases/{name}.toml")
        given = [key for key in ("package", "git", "tarball", "url") if getattr(base, key)]
        if len(given) != 1:
            said = f"has {' and '.join(given)}" if given else "has none"
            raise DeclarationError(
                str(path), f"a base wants exactly one of package, git, tarball, url; this one {said}"
            )
        if base.url and not base.sha256:
            raise DeclarationError(where(path, path.read_text(), "url"), "a url wants its sha256 beside it")
        for fragment in base.config:
            _known(path, "config", fragment, catalogue.fragments, "fragment in kernel-patches/config")


def _check_series(workspace: Workspace, catalogue: Catalogue) -> None:
    for name, series in catalogue.series.items():
        path = workspace.series / name / "series.toml"
        for base in series.bases:
            _known(path, "bases", base, catalogue.bases, "base")
        for other in series.requires:
            _known(path, "requires", other, catalogue.series, "series")
        requirements(catalogue, name)
        sources = {found.stem for layer in workspace.layers for found in layer.glob("testcases/tools/*.c")}
        for tool in series.tools:
            _known(path, "tools", tool, sources, "program in testcases/tools")


def requirements(catalogue: Catalogue, name: str) -> tuple[str, ...]:
    """The series that ``name`` needs, in the order they are applied, without itself.

    Raises DeclarationError when they go in a circle.
    """
    order: list[str] = []

    def visit(series: str, chain: tuple[str, ...]) -> None:
        if series in chain:
            circle = " -> ".join((*chain, series))
            raise DeclarationError(f"kernel-patches/{series}/series.toml", f"requires goes in a circle: {circle}")
        for other in catalogue.series[series].requires:
            visit(other, (*chain, series))
        if series not in order:
            order.append(series)

    visit(name, ())
    return tuple(order[:-1])


def _check_groups(workspace: Workspace, catalogue: Catalogue) -> None:
    for group, members in catalogue.groups().items():
        if group in catalogue.filesystems:
            path = workspace.find(f"images/filesystems/{members[0]}.toml")
            raise DeclarationError(where(path, path.read_text(), "groups"), f"groups: {group!r} is a filesystem's name")


def _check_suite(path: Path, suite: Suite, catalogue: Catalogue) -> None:
    places = {**catalogue.filesystems, **catalogue.groups()}
    for filesystem in suite.filesystems:
        _known(path, "filesystems", filesystem, places, "filesystem or group of them")
    _known(path, "image", suite.image, catalogue.images, "image")
    if suite.series:
        _known(path, "series", suite.series, catalogue.series, "series")
    if not suite.cases:
        raise DeclarationError(str(path), "a suite without cases tests nothing")
    for state in suite.expect:
        _known(path, "expect", state, STATES, "state")
    programs = _programs(path, suite)
    for name, case in suite.cases.items():
        _check_case(path, name, case, programs)
        _check_phases(path, name, case)
        _check_places(path, case, places)
        for number in case.answers:
            _known(path, "answers", str(number), catalogue.questions, "question in testcases/questions.toml")


def _programs(path: Path, suite: Suite) -> tuple[str, ...]:
    programs = suite.programs or tuple(sorted(found.stem for found in path.parent.glob("*_test.c")))
    for program in programs:
        if not (path.parent / f"{program}.c").is_file():
            raise DeclarationError(where(path, path.read_text(), "programs"), f"there is no {program}.c beside it")
    return programs


def _check_case(path: Path, name: str, case: Case, programs: tuple[str, ...]) -> None:
    if not case.program and len(programs) != 1:
        said = f"case {name!r} must say its program: the suite has {len(programs)}"
        raise DeclarationError(where(path, path.read_text(), name), said)
    if case.program:
        _known(path, "program", case.program, programs, "program of this suite")
    if case.splat is not None:
        try:
            re.compile(case.splat.pattern)
        except re.error as exc:
            raise DeclarationError(where(path, path.read_text(), name), f"splat.pattern of {name!r}: {exc}") from exc


def _check_phases(path: Path, name: str, case: Case) -> None:
    if case.cuts and case.phases:
        said = f"{name}: cuts and phases exclude each other: cuts has phases of its own"
        raise DeclarationError(where(path, path.read_text(), name), said)
    if case.cut is not None and not case.cuts:
        raise DeclarationError(where(path, path.read_text(), name), f"{name}: cut = {case.cut} wants cuts = true")


def _check_places(path: Path, case: Case, places: Mapping[str, object]) -> None:
    for key, names in (("not_on", case.not_on), ("expect_on", case.expect_on)):
        for place in names:
            _known(path, key, place, places, "filesystem or group of them")
    for place, reason in case.not_on.items():
        if not reason.strip():
            raise DeclarationError(where(path, path.read_text(), "not_on", place), f"not_on: {place} wants a reason")
    for state in case.expect:
        _known(path, "expect", state, STATES, "state")
    for state in {state for expect in case.expect_on.values() for state in expect}:
        _known(path, "expect_on", state, STATES, "state")
