"""lab init: a workspace that works at once, and never over somebody's files."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.catalogue.load import load
from harness.cli.init_verb import command
from harness.errors import UserError
from harness.init import contents
from harness.kernel.series import read_series
from harness.paths import Workspace, find_workspace

PATCH = b"""From: lab <lab@localhost>
Subject: [PATCH] mm: one more

Why.
---
diff --git a/mm/a.c b/mm/a.c
index 1..2 100644
--- a/mm/a.c
+++ b/mm/a.c
@@ -1 +1,2 @@
 one
+two
"""


def init(*arguments):
    done = CliRunner().invoke(command, [str(each) for each in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.fixture
def patch(tmp_path):
    path = tmp_path / "0001-mm-one-more.patch"
    path.write_bytes(PATCH)
    return path


def test_the_example_is_a_workspace(tmp_path):
    said = init(tmp_path / "names")
    workspace = Workspace(tmp_path / "names")
    assert list(load(workspace).scenarios()) == ["ext4-names"]
    assert len(read_series(workspace.series / "protected-names", "6.12")) == 2
    assert "run ext4-names" in said


def test_patches_of_ones_own_make_a_series_with_a_suite(tmp_path, patch):
    init(tmp_path / "one-more", patch)
    catalogue = load(Workspace(tmp_path / "one-more"))
    assert list(catalogue.series) == ["one-more"]
    assert catalogue.series["one-more"].bases == ("6.12",)
    assert catalogue.suites["one-more"].series == "one-more"


def test_a_git_tree_can_be_the_base(tmp_path, patch):
    (tmp_path / "linux").mkdir()
    init(tmp_path / "mine", patch, "--git", f"{tmp_path}/linux@v6.12.9")
    base = load(Workspace(tmp_path / "mine")).bases["mine-tree"]
    assert (base.git, base.ref) == (str(tmp_path / "linux"), "v6.12.9")


def test_nothing_is_written_when_something_is_in_the_way(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"README\.md already: nothing was written"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_workspace_is_not_made_twice(tmp_path):
    init(tmp_path / "names")
    with pytest.raises(UserError, match="is a workspace already"):
        init(tmp_path / "names")


def test_a_mistyped_base_writes_nothing(tmp_path, patch):
    with pytest.raises(UserError, match=r"no base '6\.21'"):
        init(tmp_path / "mine", patch, "--base", "6.21")
    assert not (tmp_path / "mine").exists()


def test_ci_files_can_be_added_later(tmp_path):
    init(tmp_path / "names")
    init(tmp_path / "names", "--ci", "github", "--ci", "gitlab", "--ci", "systemd", "--lab", "https://git.example/lab")
    found = {str(path.relative_to(tmp_path / "names")) for path in (tmp_path / "names").rglob("*") if path.is_file()}
    assert {path for kind in contents.CI.values() for path in kind} <= found


def test_a_ci_elsewhere_must_know_where_the_lab_is(tmp_path):
    with pytest.raises(UserError, match="where to clone the lab from"):
        contents.ci("github", tmp_path, lab="", command="lab", series="names")


@pytest.mark.parametrize(("kind", "schema"), [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")])
def test_the_validators_of_the_ci_systems_accept_their_files(tmp_path, kind, schema):
    ((path, text),) = contents.ci(kind, tmp_path, lab="https://git.example/lab", command="lab", series="names").items()
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)
    asked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr


def test_systemd_accepts_its_units(tmp_path):
    from harness import process

    if process.find("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    units = contents.ci("systemd", tmp_path, lab="", command="/bin/true", series="names")
    files = []
    for name, text in units.items():
        files.append(tmp_path / name.rpartition("/")[2])
        files[-1].write_bytes(text)
    argv = ["systemd-analyze", "verify", "--user", "--man=no", *map(str, files)]
    asked = process.run(argv, env={"XDG_RUNTIME_DIR": str(tmp_path)}, check=False)
    assert asked.ok, asked.stderr


def test_what_a_package_carries_is_what_a_workspace_may_use():
    """pyproject.toml names the folders once more, for the wheel."""
    import tomllib

    tree = find_workspace().root
    included = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, target in included["force-include"].items():
        assert (tree / source).is_dir()
        assert target == f"harness/shipped/{source}"
