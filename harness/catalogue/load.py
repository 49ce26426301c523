"""Strict TOML to frozen values: what is not understood is an error with file, line, key and a near spelling."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.catalogue.model import Base, Catalogue, Filesystem, Image, Known, KnownSplats, Scenario, Series, Suite
from harness.errors import DeclarationError, UserError
from harness.paths import Workspace

T = TypeVar("T", bound=msgspec.Struct)

STATES = ("base", "without", "with")
KNOWN = "known-splats.toml"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word the user most likely meant."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = nearest(word, known)
    if near:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(known)}" if known else "none is declared"


def _line_of(text: str, key: str) -> int | None:
    """The line a key stands on: as ``key =``, or as the last name of a table head."""
    pattern = rf"^\s*(?:\[+[^\]\n]*?)?[\"']?{re.escape(key)}[\"']?\s*[\]=.]"
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None


def _where(path: Path, text: str, key: str | None) -> str:
    line = _line_of(text, key) if key else None
    return f"{path}:{line}" if line else str(path)


def _field_names(kind: type[msgspec.Struct], at: str) -> list[str]:
    """The keys allowed at a path like ``$.cases[...].expect``: those of the struct that stands there."""
    info: object = msgspec.inspect.type_info(kind)
    for part in re.findall(r"\.(\w+)|\[\.\.\.\]", at.removeprefix("$")):
        info = _step_into(info, part)
    info = _struct_in(info)
    return [field.encode_name for field in info.fields] if info else []


def _struct_in(info: object) -> msgspec.inspect.StructType | None:
    if isinstance(info, msgspec.inspect.UnionType):
        return next((t for t in info.types if isinstance(t, msgspec.inspect.StructType)), None)
    return info if isinstance(info, msgspec.inspect.StructType) else None


def _step_into(info: object, part: str) -> object:
    if not part:
        return info.value_type if isinstance(info, msgspec.inspect.DictType) else info
    struct = _struct_in(info)
    return next((f.type for f in struct.fields if f.encode_name == part), None) if struct else None


def _explain(path: Path, text: str, kind: type[msgspec.Struct], message: str) -> DeclarationError:
    """An error that a person can act on, from msgspec's: ``Object contains unknown field `x` - at `$.y` ``."""
    at = found.group(1) if (found := re.search(r" - at `(.+?)`$", message)) else "$"
    fact = re.sub(r" - at `.+?`$", "", message)
    unknown = re.search(r"unknown field `(.+?)`", fact)
    if unknown:
        key = unknown.group(1)
        within = at.removeprefix("$").replace("[...]", ".*").strip(".")
        fact = f"unknown key {key!r}" + (f" in [{within}]" if within else "")
        return DeclarationError(_where(path, text, key), fact, hint=_did_you_mean(key, _field_names(kind, at)))
    missing = re.search(r"missing required field `(.+?)`", fact)
    if missing:
        within = at.removeprefix("$").replace("[...]", ".*").strip(".")
        place = f" in [{within}]" if within else ""
        return DeclarationError(str(path), f"the key {missing.group(1)!r} is missing{place}")
    names = re.findall(r"\.(\w+)", at)
    key = names[-1] if names else None
    return DeclarationError(_where(path, text, key), f"{key}: {fact}" if key else fact)


def read(path: Path, kind: type[T]) -> T:
    """One TOML file as a value of ``kind``.

    Raises DeclarationError that names file, line and key.
    """
    try:
        text = path.read_text()
    except OSError as exc:
        raise DeclarationError(str(path), f"cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DeclarationError(str(path), f"is not UTF-8 text: {exc}") from exc
    try:
        return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as exc:
        raise _explain(path, text, kind, str(exc)) from exc
    except msgspec.DecodeError as exc:
        raise DeclarationError(str(path), f"is not TOML: {exc}") from exc


def _folder(folder: Path, name: str, kind: type[T]) -> dict[str, T]:
    """Every ``<folder>/<entry>/<name>`` by entry."""
    return {path.parent.name: read(path, kind) for path in sorted(folder.glob(f"*/{name}"))}


def _shared(workspace: Workspace, pattern: str) -> list[Path]:
    """The files below the workspace and what ships with the lab that match, sorted; of two with one name the former."""
    found = {path.relative_to(layer): path for layer in workspace.layers for path in layer.glob(pattern)}
    return [path for _, path in sorted(found.items())]


def _files(workspace: Workspace, folder: str, kind: type[T]) -> dict[str, T]:
    return {path.stem: read(path, kind) for path in _shared(workspace, f"{folder}/*.toml")}


def load(workspace: Workspace) -> Catalogue:
    """All declarations of a workspace, each checked alone and against the others.

    Raises DeclarationError for the first that is wrong.
    """
    catalogue = Catalogue(
        root=workspace.root,
        bases=_files(workspace, "kernel-patches/bases", Base),
        fragments={path.stem: path for path in _shared(workspace, "kernel-patches/config/*.config")},
        series=_folder(workspace.series, "series.toml", Series),
        images={path.parent.name: read(path, Image) for path in _shared(workspace, "images/*/image.toml")},
        filesystems=_files(workspace, "images/filesystems", Filesystem),
        suites=_folder(workspace.suites, "suite.toml", Suite),
        known=known_splats(workspace.root / KNOWN),
    )
    _check_bases(workspace, catalogue)
    _check_series(workspace, catalogue)
    for name, suite in catalogue.suites.items():
        _check_suite(workspace.suites / name / "suite.toml", suite, catalogue)
    return catalogue


def known_splats(path: Path) -> dict[str, Known]:
    """The complaints that a workspace declares as known, by fingerprint; none when there is no such file.

    Raises DeclarationError.
    """
    if not path.exists():
        return {}
    declared = read(path, KnownSplats).splats
    for fingerprint, known in declared.items():
        where = _where(path, path.read_text(), fingerprint)
        if not re.fullmatch(r"[0-9a-f]{12}", fingerprint):
            raise DeclarationError(where, f"{fingerprint!r} is no fingerprint: 12 hex digits, as outcome.json has them")
        if not known.reason.strip():
            raise DeclarationError(where, f"{fingerprint}: a known complaint has a reason")
    return declared


def _known(path: Path, key: str, word: str, known: Iterable[str], what: str) -> None:
    if word not in known:
        where = _where(path, path.read_text(), key)
        raise DeclarationError(where, f"{key}: there is no {what} {word!r}", hint=_did_you_mean(word, known))


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
            raise DeclarationError(_where(path, path.read_text(), "url"), "a url wants its sha256 beside it")
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


def _check_suite(path: Path, suite: Suite, catalogue: Catalogue) -> None:
    for filesystem in suite.filesystems:
        _known(path, "filesystems", filesystem, catalogue.filesystems, "filesystem")
    _known(path, "image", suite.image, catalogue.images, "image")
    if suite.series:
        _known(path, "series", suite.series, catalogue.series, "series")
    if not suite.cases:
        raise DeclarationError(str(path), "a suite without cases tests nothing")
    for state in {*suite.expect, *(s for case in suite.cases.values() for s in case.expect)}:
        _known(path, "expect", state, STATES, "state")
    programs = suite.programs or tuple(sorted(found.stem for found in path.parent.glob("*_test.c")))
    for program in programs:
        if not (path.parent / f"{program}.c").is_file():
            raise DeclarationError(_where(path, path.read_text(), "programs"), f"there is no {program}.c beside it")
    for name, case in suite.cases.items():
        if not case.program and len(programs) != 1:
            raise DeclarationError(
                _where(path, path.read_text(), name),
                f"case {name!r} must say its program: the suite has {len(programs)}",
            )
        if case.program:
            _known(path, "program", case.program, programs, "program of this suite")
        _check_pattern(path, name, suite)


def _check_pattern(path: Path, name: str, suite: Suite) -> None:
    splat = suite.cases[name].splat
    if splat is None:
        return
    try:
        re.compile(splat.pattern)
    except re.error as exc:
        raise DeclarationError(_where(path, path.read_text(), name), f"splat.pattern of {name!r}: {exc}") from exc


def select(catalogue: Catalogue, patterns: Iterable[str]) -> dict[Scenario, tuple[str, ...]]:
    """The scenarios and cases that match ``<scenario>[/<case>]`` patterns (shell wildcards), in catalogue order.

    Raises UserError for a pattern that matches nothing, with what the user most likely meant.
    """
    import fnmatch

    scenarios = catalogue.scenarios()
    chosen: dict[str, set[str]] = {}
    for pattern in patterns:
        head, _, tail = pattern.partition("/")
        matching = fnmatch.filter(scenarios, head)
        if not matching:
            raise UserError(f"there is no scenario {head!r}", hint=_did_you_mean(head, scenarios))
        hits = {
            name: set(fnmatch.filter(catalogue.suites[scenarios[name].suite].cases, tail or "*")) for name in matching
        }
        if not any(hits.values()):
            cases = catalogue.suites[scenarios[matching[0]].suite].cases
            raise UserError(f"{head} has no case {tail!r}", hint=_did_you_mean(tail, cases))
        for name, cases_hit in hits.items():
            if cases_hit:
                chosen.setdefault(name, set()).update(cases_hit)
    return {
        scenario: tuple(case for case in catalogue.suites[scenario.suite].cases if case in chosen[name])
        for name, scenario in scenarios.items()
        if name in chosen
    }
