"""Strict TOML to frozen values: what is not understood is an error with file, line, key and a near spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.catalogue.check import check
from harness.catalogue.check import requirements as requirements
from harness.catalogue.model import (
    Base,
    Catalogue,
    Filesystem,
    Image,
    Known,
    KnownSplats,
    Question,
    Questions,
    Scenario,
    Series,
    Suite,
)
from harness.catalogue.words import did_you_mean, where
from harness.catalogue.words import nearest as nearest
from harness.errors import DeclarationError, UserError
from harness.paths import Workspace

T = TypeVar("T", bound=msgspec.Struct)

KNOWN = "known-splats.toml"


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
        return DeclarationError(where(path, text, key), fact, hint=did_you_mean(key, _field_names(kind, at)))
    missing = re.search(r"missing required field `(.+?)`", fact)
    if missing:
        within = at.removeprefix("$").replace("[...]", ".*").strip(".")
        place = f" in [{within}]" if within else ""
        return DeclarationError(str(path), f"the key {missing.group(1)!r} is missing{place}")
    names = re.findall(r"\.(\w+)", at)
    key = names[-1] if names else None
    return DeclarationError(where(path, text, key), f"{key}: {fact}" if key else fact)


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


def _questions(path: Path) -> dict[str, Question]:
    return read(path, Questions).questions if path.exists() else {}


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
        questions=_questions(workspace.suites / "questions.toml"),
    )
    check(workspace, catalogue)
    return catalogue


def known_splats(path: Path) -> dict[str, Known]:
    """The complaints that a workspace declares as known, by fingerprint; none when there is no such file.

    Raises DeclarationError.
    """
    if not path.exists():
        return {}
    declared = read(path, KnownSplats).splats
    for fingerprint, known in declared.items():
        place = where(path, path.read_text(), fingerprint)
        if not re.fullmatch(r"[0-9a-f]{12}", fingerprint):
            raise DeclarationError(place, f"{fingerprint!r} is no fingerprint: 12 hex digits, as outcome.json has them")
        if not known.reason.strip():
            raise DeclarationError(place, f"{fingerprint}: a known complaint has a reason")
    return declared


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
            raise UserError(f"there is no scenario {head!r}", hint=_scenario_meant(head, catalogue, scenarios))
        tail, cut = _cut_of(tail)
        hits = {
            name: set(fnmatch.filter(catalogue.suites[scenarios[name].suite].cases, tail or "*")) for name in matching
        }
        if cut:
            hits = {name: _cuttable(catalogue.suites[scenarios[name].suite], cases) for name, cases in hits.items()}
        if not any(hits.values()):
            cases = catalogue.suites[scenarios[matching[0]].suite].cases
            raise UserError(f"{head} has no case {tail!r}", hint=did_you_mean(tail, cases))
        for name, cases_hit in hits.items():
            if cases_hit:
                chosen.setdefault(name, set()).update(case + cut for case in cases_hit)
    return {
        scenario: _in_order(catalogue.suites[scenario.suite], chosen[name])
        for name, scenario in scenarios.items()
        if name in chosen
    }


def _scenario_meant(word: str, catalogue: Catalogue, scenarios: Mapping[str, Scenario]) -> str:
    """What to say of half a name, of a pair that no suite declares, and of a mistyped one."""
    if word in catalogue.suites:
        return f"a scenario is FILESYSTEM-SUITE: {word} runs on {', '.join(catalogue.filesystems_of(word))}"
    if word in catalogue.filesystems:
        return f"a scenario is FILESYSTEM-SUITE: '{word}-*' is every suite on {word}"
    for filesystem in catalogue.filesystems:
        suite = word.removeprefix(f"{filesystem}-")
        if suite in catalogue.suites:
            return f"{suite} does not run on {filesystem}, but on {', '.join(catalogue.filesystems_of(suite))}"
    return did_you_mean(word, scenarios)


def _cut_of(case: str) -> tuple[str, str]:
    """``relink@17`` as ("relink", "@17"): one cut of a case that is cut at every write."""
    found = re.fullmatch(r"(.+)(@[0-9]+)", case)
    return (found[1], found[2]) if found else (case, "")


def _cuttable(suite: Suite, cases: Iterable[str]) -> set[str]:
    return {case for case in cases if suite.cases[case].cuts}


def _in_order(suite: Suite, chosen: set[str]) -> tuple[str, ...]:
    order = list(suite.cases)
    return tuple(sorted(chosen, key=lambda case: (order.index(_cut_of(case)[0]), case)))
