"""Which suites share a guest."""

from pathlib import Path

import pytest

from harness.catalogue.load import load
from harness.paths import find_workspace
from harness.runner.company import company


@pytest.fixture(scope="module")
def catalogue():
    return load(find_workspace(Path(__file__).resolve().parents[2]))


def shared(catalogue, *names):
    scenarios = [catalogue.scenarios()[name] for name in names]
    return {scenario.name: found for scenario, found in company(catalogue, scenarios).items()}


def test_suites_on_one_filesystem_share_a_guest(catalogue):
    assert shared(catalogue, "ext4-unlinked", "ext4-rmdir", "xfs-rmdir") == {
        "ext4-unlinked": ("rmdir", "unlinked"), "ext4-rmdir": ("rmdir", "unlinked"), "xfs-rmdir": (),
    }  # fmt: skip


def test_whose_guest_is_another_has_its_own(catalogue):
    suites = catalogue.suites
    assert suites["storm"].cpus
    assert suites["crash"].host
    found = shared(catalogue, "ext4-unlinked", "ext4-rmdir", "ext4-storm", "ext4-crash")
    assert found["ext4-storm"] == found["ext4-crash"] == ()
