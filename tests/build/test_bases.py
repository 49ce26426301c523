"""Each base that a series of the lab names: all of it applies there, and differs only where it must."""

from pathlib import Path

import pytest

from harness.cache import Cache
from harness.catalogue.load import load
from harness.errors import SeriesError
from harness.kernel import git
from harness.kernel.request import compose
from harness.kernel.series import apply, read_series
from harness.kernel.source import fetch
from harness.paths import cache_root, find_workspace
from harness.plan import requirements

pytestmark = pytest.mark.build

CATALOGUE = load(find_workspace(Path(__file__)))
PAIRS = [(name, base) for name, series in CATALOGUE.series.items() for base in series.bases]


@pytest.fixture(scope="module")
def states():
    """The commit after each patch of a series on a base and the repository; element 0 is what the series stands on."""

    def of(name, base):
        below = [(other, None) for other in requirements(CATALOGUE, name)]
        source = fetch(base, CATALOGUE.bases[base], Cache(cache_root()), root=CATALOGUE.root)
        repo = git.Repo(source.repo)
        first = len(compose(CATALOGUE, base, below).patches)
        commits = apply(repo, source.record.commit, compose(CATALOGUE, base, [*below, (name, None)]).patches)
        return repo, [source.record.commit, *commits][first:]

    return of


def folder_of(name):
    return CATALOGUE.root / "kernel-patches" / name


@pytest.mark.parametrize(("name", "base"), PAIRS)
def test_a_series_applies_to_each_base_it_names(states, name, base):
    _, commits = states(name, base)
    assert len(commits) == len(read_series(folder_of(name))) + 1


@pytest.mark.parametrize(("name", "base"), PAIRS)
def test_a_backport_is_there_only_where_a_patch_must_differ(states, name, base):
    repo, commits = states(name, base)
    own = read_series(folder_of(name))
    there = read_series(folder_of(name), base)
    assert [patch.title for patch in there] == [patch.title for patch in own]
    for before, after, patch, other in zip(commits, commits[1:], own, there, strict=False):
        if patch.path != other.path:
            assert tree_with(repo, before, patch) != repo.read("rev-parse", f"{after}^{{tree}}"), (
                f"{other.path} is idle"
            )


def tree_with(repo, commit, patch):
    """The tree that a patch makes of a state, None when it does not apply."""
    try:
        return repo.read("rev-parse", f"{apply(repo, commit, [patch])[-1]}^{{tree}}")
    except SeriesError:
        return None
