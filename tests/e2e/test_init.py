"""docs/your-own-series.md, walked: a new workspace whose series has nothing to do with checkpoints."""

import json

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.vm, pytest.mark.build]


@pytest.fixture(scope="module")
def names(lab, tmp_path_factory):
    """The example's workspace, made by the verb. ``lab`` comes first: it has built the plain base already."""
    folder = tmp_path_factory.mktemp("init") / "names"
    made = lab.run("init", str(folder))
    assert made.returncode == 0, made.stdout + made.stderr
    return Lab(folder)


def outcomes(answer):
    return {(case["state"], case["case"]): case["outcome"] for case in answer["cases"]}


def test_a_new_workspace_runs_at_once(names):
    found = outcomes(names.answer("ext4-names"))
    assert len(found) == 14
    for (state, case), outcome in found.items():
        if case == "off_by_default" or state == "with":
            assert outcome["status"] == "PASS", case
        else:
            assert (outcome["kind"], outcome["reason"]) == ("assertion", "ENOENT"), case


def test_the_patch_that_turns_a_case_is_seen(names):
    found = outcomes(names.answer("ext4-names", "--at", "1"))
    assert found["1", "directory_is_refused"]["status"] == "PASS"
    assert found["1", "create_is_refused"]["reason"] == "success"


def test_the_workspaces_results_are_its_own(names, lab):
    before = lab.runs()
    names.answer("ext4-names/off_by_default")
    assert lab.runs() == before
    assert json.loads((names.runs()[-1] / "manifest.json").read_bytes())["scenario"] == "ext4-names"
