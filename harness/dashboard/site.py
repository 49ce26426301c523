"""Writing the site. A page of a run that is written already is left alone: what a run was does not change.

    written = write(history, workspace, folder, told)

The site opens from disk; nothing in it asks a network.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from harness.cache import digest
from harness.dashboard import evidence, view
from harness.errors import UserError
from harness.history import query
from harness.history.rows import Point, RunRow
from harness.history.store import History
from harness.history.trend import Track, tracks
from harness.results import files, page
from harness.results.reproduce import script

OWN = "harness.dashboard"
WRITTEN = "data/written.json"
"""What each page of a run was made of. A folder with this file holds a dashboard."""
STATIC = 100
"""Runs that stand in the list itself, for readers without JavaScript."""
LATEST = 40
"""Outcomes listed on the page of a case."""
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Written:
    """What was done: pages written, and pages of runs that were there already."""

    index: Path
    written: int
    kept: int


class _Site:
    """One writing of the site; what its steps share."""

    def __init__(self, history: History, folder: Path, since: str, told: Told) -> None:
        self.history = history
        self.folder = folder
        self.told = told
        self.since = since
        self.written = self.kept = 0

    @cached_property
    def runs(self) -> list[RunRow]:
        """All runs, newest first."""
        return query.runs(self.history)

    @cached_property
    def points(self) -> list[Point]:
        """The outcomes that trends and pages of cases are about."""
        return query.points(self.history, since=self.since)

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        return tracks(self.points)

    @cached_property
    def bisects(self) -> list[dict[str, object]]:
        return query.bisects(self.history)

    @cached_property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Of every run: outcomes as expected, and outcomes that something was promised of."""
        return query.counts(self.history)

    @cached_property
    def recipe(self) -> str:
        """A key of what makes a run's page out of a run."""
        own = resources.files(OWN)
        parts = [own.joinpath("templates", name).read_text() for name in ("run.html.j2", "site.html.j2")]
        return digest(*parts, page.style())

    def put(self, name: str, text: str) -> None:
        path = self.folder / unquote(name)
        with files.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, text.encode())
        self.written += 1

    def render(self, name: str, template: str, **words: Any) -> None:
        """A page at its place; ``root`` leads back to the site's root."""
        root = "../" * name.count("/")
        self.put(name, page.render(template, folder=OWN, linked=root or "./", root=root, **words))


def write(history: History, folder: Path, *, since: str = "", told: Told = lambda _what, _done, _of: None) -> Written:
    """The site at ``folder``. Trends and pages of cases begin at ``since`` (UTC, ISO 8601); runs are all there.

    Raises UserError for a folder that holds something else, InfraError when the host cannot write.
    """
    site = _Site(history, folder, since, told)
    _claim(site)
    site.put("page.css", page.style() + resources.files(OWN).joinpath("templates/site.css").read_text())
    site.put("site.js", resources.files(OWN).joinpath("templates/site.js").read_text())
    _lists(site)
    _cases(site)
    _runs(site)
    _index(site)
    return Written(folder / "index.html", site.written, site.kept)


def _claim(site: _Site) -> None:
    """Take an empty folder, or one that holds a dashboard: what is somebody's own is not written over."""
    known = site.folder / WRITTEN
    if known.exists():
        return
    if site.folder.is_dir() and any(site.folder.iterdir()):
        raise UserError(f"{site.folder} holds something that is no dashboard", hint="--out takes a folder of its own")
    site.put(WRITTEN, "{}")


def _index(site: _Site) -> None:
    wrong = view.wrong(site.tracks)
    site.render(
        "index.html",
        "index.html.j2",
        title="lab",
        headline=view.headline(wrong),
        wrong=wrong,
        matrix=view.matrix(site.tracks),
        trends=view.trends(site.points),
        costs=view.costs(site.tracks),
        runs=[(run, *site.counts.get(run.name, (0, 0))) for run in site.runs[:12]],
        total=len(site.runs),
        nightlies=query.nightlies(site.history)[:10],
        bisects=site.bisects[:10],
        run_page=view.run_page,
    )


def _lists(site: _Site) -> None:
    rows = [view.run_row(run, *site.counts.get(run.name, (0, 0))) for run in site.runs]
    site.put("data/runs.js", _data([[*row, view.run_page(str(row[0]))] for row in rows]))
    site.render("runs.html", "runs.html.j2", title="runs", rows=site.runs[:STATIC], site=site, run_page=view.run_page)
    lines = [view.case_line(track, linked=False) for track in site.tracks]
    site.render("cases.html", "cases.html.j2", title="cases", lines=sorted(lines, key=_by_name))


def _by_name(line: view.CaseLine) -> tuple[str, str, str]:
    return line.scenario, line.case, line.lane.words


def _data(rows: Sequence[object]) -> str:
    """Data as a script: a page that is opened from disk may load nothing else."""
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"window.rows = {text};\n"


def _cases(site: _Site) -> None:
    found: dict[tuple[str, str], list[Track]] = defaultdict(list)
    for track in site.tracks:
        found[track.lane.scenario, track.case].append(track)
    for done, ((scenario, case), own) in enumerate(found.items(), 1):
        site.told("pages of cases", done, len(found))
        site.render(
            view.case_page(scenario, case),
            "case.html.j2",
            title=f"{scenario}/{case}",
            lines=[view.case_line(track, "../../") for track in own],
            costs=view.costs(own),
            latest=sorted((p for track in own for p in track.points), key=lambda p: p.started, reverse=True)[:LATEST],
            bisects=[each for each in site.bisects if (each["scenario"], each["case_name"]) == (scenario, case)],
            run_page=view.run_page,
            anchor=view.anchor,
        )


def _runs(site: _Site) -> None:
    before = _read(site.folder / WRITTEN)
    now = {run.name: digest(site.recipe, run.started, run.finished, run.status) for run in site.runs}
    due = [run for run in site.runs if before.get(run.name) != now[run.name] or not _page_of(site, run).exists()]
    site.kept = len(site.runs) - len(due)
    for done, run in enumerate(due, 1):
        site.told("pages of runs", done, len(due))
        _run(site, run)
    _forget(site, before.keys() - now.keys())
    site.put(WRITTEN, json.dumps(now))


def _page_of(site: _Site, run: RunRow) -> Path:
    return site.folder / unquote(view.run_page(run.name))


def _forget(site: _Site, gone: Iterable[str]) -> None:
    """Take away the pages of runs that the memory no longer has."""
    for name in gone:
        (site.folder / unquote(view.run_page(name))).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _run(site: _Site, run: RunRow) -> None:
    from harness.results import index

    points = query.points(site.history, run=run.name)
    folder = Path(run.folder)
    manifest = index.entry(folder).manifest if folder.is_dir() else None
    told = [(point, _evidence(site, folder, point)) for point in points if point.met is False or point.complaints]
    site.render(
        view.run_page(run.name),
        "run.html.j2",
        title=run.name,
        run=run,
        points=points,
        states=list(dict.fromkeys(point.lane.state for point in points)),
        cases=_by_case(points),
        told=told,
        manifest=manifest,
        reproduce=script(manifest) if manifest else "",
        address=_address(site.folder / "run", folder),
        anchor=view.anchor,
        kind=view.kind,
        case_page=view.case_page,
    )


def _by_case(points: Iterable[Point]) -> dict[str, dict[str, Point]]:
    rows: dict[str, dict[str, Point]] = defaultdict(dict)
    for point in points:
        rows[point.case][point.lane.state] = point
    return rows


def _evidence(site: _Site, run: Path, point: Point) -> evidence.Evidence | None:
    address = _address(site.folder / "run", run / point.where)
    return evidence.of_case(run, point.where, address) if point.where else None


def _address(page_folder: Path, target: Path) -> str:
    """A folder of the results as a page sees it; empty when it is gone."""
    return quote(os.path.relpath(target, page_folder)) if target.is_dir() else ""
