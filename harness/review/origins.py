"""Which patch brought a line of the tip: git's own account of it, by blame over the series' commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.kernel import git, series, source
from harness.kernel.checks import touched
from harness.kernel.request import applied
from harness.review.desk import Desk


@dataclass(frozen=True)
class Origin:
    """Where a line came from: the patch, and its line in the file as that patch left it."""

    patch: int
    at: int
    text: str


def lines(desk: Desk, name: str) -> dict[int, Origin]:
    """The lines of a file at the tip that a patch of the series brought, by git's own account of it."""
    candidate = desk.chosen.candidate
    catalogue = desk.place.catalogue
    base = source.fetch(candidate.base, catalogue.bases[candidate.base], desk.place.cache, root=catalogue.root)
    repo = git.Repo(base.repo)
    below = [patch for other in candidate.requires for patch in applied(catalogue, candidate.base, other).patches]
    commits = series.apply(repo, base.record.commit, [*below, *desk.patches])[len(below) :]
    since = series.apply(repo, base.record.commit, below)[-1] if below else base.record.commit
    said = repo.run("blame", "--line-porcelain", f"{since}..{commits[-1]}", "--", name, check=False)
    return dict(blamed(said.stdout, {commit: number for number, commit in enumerate(commits, 1)}))


def blamed(text: str, commits: Mapping[str, int]) -> Iterator[tuple[int, Origin]]:
    number, line, at = 0, 0, 0
    for row in text.splitlines():
        if row.startswith("\t"):
            if number:
                yield line, Origin(number, at, row[1:])
            continue
        words = row.split()
        if len(words) >= 3 and len(words[0]) == 40 and words[1].isdigit():
            number, at, line = commits.get(words[0], 0), int(words[1]), int(words[2])


def files(desk: Desk) -> list[str]:
    """The files that the series touches."""
    return sorted({name for patch in desk.patches for name in touched(patch)})
