"""lab shell: which guest is opened, before any is."""

from dataclasses import replace

import pytest

from harness.cache import Cache
from harness.catalogue.load import load
from harness.catalogue.model import Expectation, Status
from harness.cli import options, shell_verb
from harness.paths import OWN_TREE, Workspace
from harness.results import model
from harness.results.run import RunFolder
from harness.runner.prepare import Place, Wishes
from harness.verdict.judge import CaseRecord, Ended, judge


@pytest.fixture
def place(tmp_path):
    """The lab's own declarations, with results of its own."""
    for name in ("kernel-patches", "testcases"):
        (tmp_path / name).symlink_to(OWN_TREE / name)
    workspace = Workspace(tmp_path)
    return Place(workspace, load(workspace), Cache(tmp_path / "cache"))


@pytest.fixture
def run(place, tmp_path):
    """A run on another base and a checked kernel, with a case that left its disk."""
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"")
    record = CaseRecord(case="orphan_comes_back", state="without", ended=Ended.TIMEOUT, test="orphan_comes_back")
    with RunFolder.create(place.workspace.runs, "ext4-unlinked") as folder:
        folder.write_manifest(
            model.Manifest(
                scenario="ext4-unlinked", argv=("lab",), states=("without", "with"), cases=(record.case,), created="",
                kernels=(model.Kernel(state="without", key="k", label="l", base="6.1", config=("kasan",)),),
            )
        )  # fmt: skip
        folder.add(record, judge(record), Expectation(status=Status.PASS), disk)
        folder.finish()
    return folder.path.name


def opened(place, run, monkeypatch, config=()):
    seen = []
    monkeypatch.setattr(shell_verb, "_open", lambda *given: seen.append(given))
    shell_verb._open_disk(place, f"{run}/without/orphan_comes_back", config, options.Guests(None, False, 1))
    [(_, job, wishes, _)] = seen
    return job, wishes


def test_a_disk_is_opened_under_the_kernel_that_wrote_it(place, run, monkeypatch):
    job, wishes = opened(place, run, monkeypatch)
    assert [(state.name, state.base) for state in job.states] == [("without", "6.1")]
    assert replace(wishes, jobs=1) == Wishes(config=("kasan",), cold=True, jobs=1)


def test_a_config_that_is_asked_for_wins(place, run, monkeypatch):
    assert opened(place, run, monkeypatch, ("debug",))[1].config == ("debug",)
