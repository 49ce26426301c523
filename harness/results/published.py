"""Runs as committed evidence: results/published/<suite>.jsonl, a line for each scenario.

    taken = take(entries(workspace.runs), catalogue)     # the newest whole run of each scenario
    write(workspace.root / "results" / "published", taken)
    read(folder)                                         # {scenario: Published}

Runs on kernels of another kind (another base, further fragments) are in a folder of that kind: 6.12-kasan+lockdep/.

Outcomes as words, no consoles and no disks: enough to see what was so when, on which kernels, from which commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from harness.catalogue.model import Catalogue, Scenario
from harness.errors import InfraError
from harness.plan import BASE, WITH, WITHOUT, newest
from harness.results import files
from harness.results.index import Entry
from harness.results.model import CaseResult, Kernel
from harness.results.text import summary, word

VERSION = 1
PLAIN = "plain"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario's run.

    ``cases`` has an outcome for each of ``states``, in words; ``unexpected`` are the cases that did not do what their
    suite wanted. ``commit`` is the workspace's, with a "+" when it had changes.
    """

    scenario: str
    finished: str
    commit: str
    summary: str
    kernels: tuple[Kernel, ...]
    states: tuple[str, ...]
    cases: dict[str, tuple[str, ...]]
    unexpected: tuple[str, ...] = ()
    version: int = VERSION


def kind_of(entry: Entry, catalogue: Catalogue) -> str:
    """What kernels a run was on: ``""`` for those of `lab run` without options, else ``6.12-kasan+lockdep``."""
    scenario = catalogue.scenarios().get(entry.manifest.scenario) if entry.manifest else None
    if entry.manifest is None or scenario is None or not entry.manifest.kernels:
        return ""
    series = catalogue.suites[scenario.suite].series
    usual = catalogue.series[series].bases[0] if series else newest(catalogue.bases)
    base, config = entry.manifest.kernels[0].base, "+".join(entry.manifest.options.get("config", "").split())
    return "" if (base, config) == (usual, "") else f"{base}-{config or PLAIN}"


def take(entries: Iterable[Entry], catalogue: Catalogue, kind: str = "") -> dict[str, Published]:
    """The newest run of each scenario that is worth publishing, by scenario; ``entries`` are newest first.

    It came to its end, ran all cases as they are declared today, forked, on kernels of that kind: in the states that
    `lab run` shows, and on kernels of another kind at least at the tip.
    """
    scenarios, found = catalogue.scenarios(), dict[str, Published]()
    for entry in entries:
        name = entry.manifest.scenario if entry.manifest else ""
        if name not in scenarios or name in found or kind_of(entry, catalogue) != kind:
            continue
        if _is_whole(entry, catalogue, scenarios[name], alone=bool(kind)):
            found[name] = _published(entry)
    return dict(sorted(found.items()))


def _is_whole(entry: Entry, catalogue: Catalogue, scenario: Scenario, *, alone: bool) -> bool:
    manifest, result = entry.manifest, entry.result
    if manifest is None or result is None or len(result.cases) != result.planned:
        return False
    suite = catalogue.suites[scenario.suite]
    wanted = [(WITHOUT, WITH) if suite.series else (BASE,)]
    wanted += [(WITH,)] if alone else []
    forked = manifest.options.get("guests") == "forked" and not manifest.options.get("environment")
    return forked and manifest.states in wanted and set(manifest.cases) == set(suite.cases)


def _published(entry: Entry) -> Published:
    assert entry.manifest is not None
    assert entry.result is not None
    manifest, result = entry.manifest, entry.result
    state = manifest.workspace
    return Published(
        scenario=manifest.scenario,
        finished=result.finished,
        commit=(state.commit[:12] + ("+" if state.changed else "")) if state else "",
        summary=summary(result),
        kernels=manifest.kernels,
        states=manifest.states,
        cases={case: _words(result.cases, case, manifest.states) for case in manifest.cases},
        unexpected=tuple(dict.fromkeys(case.case for case in result.unexpected)),
    )


def _words(results: Iterable[CaseResult], case: str, states: tuple[str, ...]) -> tuple[str, ...]:
    told = {each.state: word(each.outcome) for each in results if each.case == case}
    return tuple(told.get(state, "not run") for state in states)


def write(folder: Path, runs: Mapping[str, Published], suites: Mapping[str, str]) -> None:
    """Make ``runs`` what is published. ``suites`` names the suite of each scenario.

    Raises InfraError when the host cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[bytes]] = {}
    for name, run in runs.items():
        lines.setdefault(suites[name], []).append(msgspec.json.encode(run))
    for path in folder.glob("*.jsonl"):
        if path.stem not in lines:
            path.unlink()
    for suite, encoded in lines.items():
        files.write(folder / f"{suite}.jsonl", b"\n".join(encoded) + b"\n")


def read(folder: Path) -> dict[str, Published]:
    """What is published, by scenario; nothing when nothing is.

    Raises InfraError for a file that is broken or of a newer lab.
    """
    found: dict[str, Published] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            run = _decode(line, f"{path}:{number}")
            found[run.scenario] = run
    return found


def read_others(folder: Path) -> dict[str, dict[str, Published]]:
    """The same of kernels of another kind, by the name of the kind.

    Raises InfraError as ``read`` does.
    """
    return {path.name: read(path) for path in sorted(folder.glob("*")) if path.is_dir()}


def _decode(line: bytes, where: str) -> Published:
    try:
        run = msgspec.json.decode(line, type=Published)
    except msgspec.MsgspecError as exc:
        raise InfraError(f"{where}: {exc}") from exc
    if run.version > VERSION:
        raise InfraError(
            f"{where} is of version {run.version}; this lab knows {VERSION}", hint="use the lab that wrote it"
        )
    return run
