"""The workspace, and what ships with the lab below it."""

import pytest

from harness.catalogue.load import load
from harness.errors import UserError
from harness.paths import Workspace, cache_root, find_workspace, shipped_root


@pytest.fixture
def own(tmp_path):
    """A workspace that declares a suite and nothing else."""
    (tmp_path / "kernel-patches").mkdir()
    suite = tmp_path / "testcases" / "mine"
    suite.mkdir(parents=True)
    (suite / "suite.toml").write_text('title = "mine"\nfilesystems = ["ext4"]\n[cases.one]\ntitle = "one"\n')
    (suite / "mine_test.c").write_text("")
    return Workspace(tmp_path)


def test_a_workspace_needs_only_what_is_its_own(own):
    catalogue = load(own)
    assert list(catalogue.scenarios()) == ["ext4-mine"]
    assert {"6.12"} <= set(catalogue.bases)
    assert {"guest", "kasan"} <= set(catalogue.fragments)
    assert "tiny" in catalogue.images


def test_series_and_suites_that_ship_are_not_everybodys(own):
    catalogue = load(own)
    assert catalogue.series == {}
    assert list(catalogue.suites) == ["mine"]


def test_the_workspaces_own_file_wins(own):
    mine = own.root / "images" / "filesystems" / "ext4.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text('title = "my ext4"\ntype = "ext4"\n')
    assert load(own).filesystems["ext4"].title == "my ext4"
    assert own.find("images/filesystems/ext4.toml") == mine


def test_what_nobody_has_is_missed_in_the_workspace(own):
    assert own.find("testcases/tools/nothing.c") == own.root / "testcases/tools/nothing.c"


def test_the_labs_own_tree_is_one_layer():
    tree = Workspace(shipped_root())
    assert tree.layers == (shipped_root(),)


def test_a_workspace_is_found_from_within(own, monkeypatch):
    monkeypatch.delenv("LAB_WORKSPACE", raising=False)
    assert find_workspace(own.root / "testcases" / "mine").root == own.root


def test_a_folder_that_is_no_workspace_is_told_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_WORKSPACE", str(tmp_path))
    with pytest.raises(UserError, match=str(tmp_path)):
        find_workspace()


@pytest.mark.parametrize("name", ["my cache", "a:b", "tab\there"])
def test_a_cache_that_kbuild_refuses_is_refused_at_once(tmp_path, monkeypatch, name):
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / name))
    with pytest.raises(UserError, match="kernels do not build below") as raised:
        cache_root()
    assert "LAB_CACHE" in raised.value.hint
