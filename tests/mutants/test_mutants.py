"""Three mistakes made on purpose in the series that ships: cases that do not catch them prove nothing.

Each is a patch of a series on top of it; the case that is about it passes up to the patch before and fails from it on.
Three kernels are compiled (a minute each when most objects are in ccache), so these run only when asked for:

    ./lab test -m mutants
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Lab, copy_workspace

pytestmark = [pytest.mark.mutants, pytest.mark.vm, pytest.mark.build]

HERE = Path(__file__).resolve().parent
CAUGHT = {
    1: "ext4-crash/refused_name_keeps_the_orphan",
    2: "ext4-unlinked/failed_checkpoint_leaves_no_names",
    3: "ext4-image/restart_removes_only_what_it_opened",
}
"""The case that is about the mistake of each patch."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    lab = copy_workspace(tmp_path_factory.mktemp("mutants"))
    shutil.copytree(HERE, lab.workspace / "kernel-patches" / "mutants", ignore=shutil.ignore_patterns("*.py", "__*"))
    return lab


def outcomes(lab, patch, case):
    return answered(lab.run("run", "--format", "json", "--series", "mutants", "--at", str(patch), case))


def answered(done):
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [case["outcome"] for case in json.loads(done.stdout)["cases"]]


@pytest.mark.parametrize("patch", CAUGHT)
def test_a_mistake_turns_its_own_case_red_and_no_other_before_it(lab, patch):
    for own, case in CAUGHT.items():
        (outcome,) = outcomes(lab, patch, case)
        assert outcome["status"] == ("FAIL" if own <= patch else "PASS"), f"patch {patch}: {case}: {outcome}"
        assert own > patch or outcome["kind"] in ("assertion", "dirty"), outcome


def test_without_them_all_pass(lab):
    for case in CAUGHT.values():
        (outcome,) = answered(lab.run("run", "--format", "json", "--at", "with", case))
        assert outcome["status"] == "PASS", f"{case}: {outcome}"
