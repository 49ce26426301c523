"""What a run does with a zygote that fails: the case is run apart, and its verdict is what it would have been."""

import contextlib
import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import msgspec
import pytest

from harness.catalogue.load import load, select
from harness.kernel.build import build as build_kernel
from harness.machine.deadline import Deadline
from harness.paths import find_workspace
from harness.plan import Request, plan
from harness.progress import silent
from harness.runner import nursery, phases, prepare
from harness.runner.case import run_case
from harness.verdict.judge import Kind, judge

ROOT = Path(__file__).resolve().parents[2]
MANY = nursery.FEW + 1


@pytest.fixture(scope="module")
def packed(cache, tmp_path_factory):
    """A suite's guest on the base, not yet booted, with the folder that its boot may use."""

    def packed(scenario, filesystem=""):
        workspace = find_workspace(ROOT)
        place = prepare.Place(workspace, load(workspace), cache)
        job = plan(place.catalogue, select(place.catalogue, [scenario]), Request())[0]
        if filesystem:
            job = dataclasses.replace(job, scenario=msgspec.structs.replace(job.scenario, filesystem=filesystem))
        wishes = prepare.Wishes()
        kernel = build_kernel(prepare.kernel_request(place, job, job.states[-1], wishes), cache)
        folder = tmp_path_factory.mktemp("ready")
        return prepare.pack(place, job, job.states[-1], kernel, wishes, folder), folder

    return packed


@pytest.fixture(scope="module")
def ready(packed, cache):
    """The suite selftest, on the base."""
    bare, folder = packed("selftest")
    return prepare.boot(bare, cache, folder, silent)


PHASED = ("two_power_cuts", "copy", "snapshot", "remount", "rename_after_fsync_is_atomic")


@pytest.fixture(scope="module", params=["ext4", "btrfs"])
def phased(packed, cache, request):
    """The suite phases, on the base: all of its cases take guests with nothing mounted."""
    bare, folder = packed("ext4-phases", request.param)
    return phases.make_ready(bare, bare.suite, list(bare.suite.cases), cache, folder, silent)


@contextlib.contextmanager
def standing(ready, cache, tmp_path):
    """The state with its zygote, once that stands."""
    stopping = threading.Event()
    with nursery.standby(ready, MANY, cache, tmp_path, object(), stopping) as ready:
        deadline = Deadline(60)
        while ready.standby.zygote is None and not ready.standby.why and not deadline.expired:
            time.sleep(0.02)
        yield ready


def kind(ready, case, folder):
    folder.mkdir()
    return judge(run_case(ready, ready.suite, case, folder).record).kind


def crashing(parent, monkeypatch):
    """From now on every fork of it dies of a signal that nobody sent."""

    @contextlib.contextmanager
    def birth(ends, disks):
        with type(parent).birth(parent, ends, disks) as child:
            os.kill(child.pid, signal.SIGSEGV)
            yield child

    monkeypatch.setattr(parent, "birth", birth)


def counted(parent, monkeypatch):
    """Its forks from now on, as a list that grows."""
    births = []

    @contextlib.contextmanager
    def birth(ends, disks):
        births.append(disks)
        with type(parent).birth(parent, ends, disks) as child:
            yield child

    monkeypatch.setattr(parent, "birth", birth)
    return births


def test_few_cases_need_none(ready, cache, tmp_path):
    with nursery.standby(ready, nursery.FEW, cache, tmp_path, object(), threading.Event()) as same:
        assert same is ready


def test_what_panics_or_hangs_in_a_fork_is_the_case(ready, cache, tmp_path):
    with standing(ready, cache, tmp_path) as ready:
        assert kind(ready, "panic", tmp_path / "panic") is Kind.PANIC
        assert kind(ready, "hang_kernel", tmp_path / "hang") is Kind.HANG
        assert kind(ready, "pass", tmp_path / "pass") is Kind.PASSED
        assert ready.standby.why == ""


def test_a_zygote_that_is_gone_costs_no_verdict(ready, cache, tmp_path):
    with standing(ready, cache, tmp_path) as ready:
        ready.standby.zygote.machine.child.kill()
        assert kind(ready, "pass", tmp_path / "pass") is Kind.PASSED
        assert ready.standby.zygote is None
        assert "to be forked" in ready.standby.why


def test_a_case_whose_fork_crashes_is_run_apart(ready, cache, tmp_path, monkeypatch):
    with standing(ready, cache, tmp_path) as ready:
        crashing(ready.standby.zygote, monkeypatch)
        assert kind(ready, "pass", tmp_path / "pass") is Kind.PASSED
        assert ready.standby.why


def test_guests_of_phases_and_cuts_are_forks(phased, cache, tmp_path, monkeypatch):
    loaded = {case: kind(phased, case, tmp_path / f"loaded-{case}") for case in PHASED}
    with standing(phased.bare, cache, tmp_path) as bare:
        births = counted(bare.standby.zygote, monkeypatch)
        ready = dataclasses.replace(phased, bare=bare)
        assert {case: kind(ready, case, tmp_path / case) for case in PHASED} == loaded
        assert bare.standby.why == ""
    assert len(births) > len(loaded)


def test_phases_whose_fork_crashes_are_run_apart(phased, cache, tmp_path, monkeypatch):
    case = PHASED[0]
    loaded = kind(phased, case, tmp_path / "loaded")
    with standing(phased.bare, cache, tmp_path) as bare:
        crashing(bare.standby.zygote, monkeypatch)
        assert kind(dataclasses.replace(phased, bare=bare), case, tmp_path / "forked") is loaded
        assert bare.standby.why


def test_without_a_compiler_there_is_none(ready, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(nursery, "COMPILER", ("false",))
    with standing(ready, cache, tmp_path) as ready:
        assert ready.standby.why
        assert kind(ready, "pass", tmp_path / "pass") is Kind.PASSED


def test_guests_with_hardware_virtualisation_are_not_forked(ready, cache, tmp_path):
    accelerated = dataclasses.replace(ready, options=dataclasses.replace(ready.options, accelerator="kvm"))
    with nursery.standby(accelerated, MANY, cache, tmp_path, object(), threading.Event()) as same:
        assert same is accelerated
