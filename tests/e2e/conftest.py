"""The command line as a user has it: `python -m harness`, real kernels, real guests, the user's own cache.

The kernels are built once for all of these tests, and found in the cache by every later run.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
BUILDING = 3600
"""Seconds for a command that may build kernels from nothing on a slow machine."""


@dataclass
class Lab:
    """`lab` in a workspace."""

    workspace: Path

    def environment(self, **more):
        return os.environ | {"LAB_WORKSPACE": str(self.workspace), "PYTHONPATH": str(TREE), "NO_COLOR": "1"} | more

    def run(self, *argv, timeout=BUILDING, **environment):
        return subprocess.run(
            [sys.executable, "-m", "harness", *argv],
            cwd=self.workspace, env=self.environment(**environment), capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def start(self, *argv):
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *argv],
            cwd=self.workspace, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def answer(self, *argv, code=0):
        """The result.json that a run prints."""
        done = self.run("run", "--format", "json", *argv)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def runs(self):
        return sorted((self.workspace / "results" / "runs").glob("*"))


def copy_workspace(target):
    for name in ("kernel-patches", "images", "testcases"):
        shutil.copytree(TREE / name, target / name)
    return Lab(target)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The lab's own declarations, results kept apart from the user's, and every kernel built before a test counts."""
    lab = copy_workspace(tmp_path_factory.mktemp("workspace"))
    for scenario in ("selftest", "ext4-unlinked"):
        built = lab.run("build", scenario)
        assert built.returncode == 0, built.stdout + built.stderr
    return lab


@pytest.fixture
def spoiled(tmp_path):
    """A workspace of one's own to break."""
    return copy_workspace(tmp_path)


@pytest.fixture
def add_series(spoiled):
    """Adds a series on top of checkpoint-relink: ``add(name, {file: diff})``."""

    def add(name, patches):
        folder = spoiled.workspace / "kernel-patches" / name
        folder.mkdir()
        (folder / "series.toml").write_text(f'title = "{name}"\nbases = ["6.12"]\nrequires = ["checkpoint-relink"]\n')
        for number, (title, diff) in enumerate(patches.items(), 1):
            head = f"From: lab <lab@localhost>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: {title}\n\nWhy.\n---\n"
            (folder / f"{number:04}-{title.replace(' ', '-')}.patch").write_text(f"{head}\n{diff}")

    return add


def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def interrupt(process):
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    return out


def children_of(pid):
    """Command lines of all that descends from a process now."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    found, family = [], {str(pid)}
    grown = True
    while grown:
        grown = False
        for own, parent, *args in rows:
            if parent in family and own not in family:
                family.add(own)
                found.append((int(own), args[0] if args else ""))
                grown = True
    return found


def review(lab, *argv, code=0):
    """What `lab review` said, its review.json, and the folder of it."""
    done = lab.run("review", *map(str, argv))
    assert done.returncode == code, done.stdout + done.stderr
    folder = max((lab.workspace / "results" / "reviews").iterdir(), key=lambda path: path.name)
    return done.stdout, json.loads((folder / "review.json").read_text()), folder
