"""A replay that goes back, under a real gdb: it finds the same registers at the same place."""

import re
import shutil
import subprocess

import pytest

from harness.cli.debugger import COMMANDS
from harness.errors import LabError
from harness.guest import disks, memory_disk
from harness.runner import replay, rewind

PROGRAM = "vm/guest_test"

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")


@pytest.fixture(scope="module")
def recorded(plain, cache, declared, tmp_path_factory):
    import dataclasses

    initramfs = memory_disk.attach(plain.initramfs, disks.make(declared, cache), cache)
    options = dataclasses.replace(
        plain, initramfs=initramfs, filesystem="ext4", device=memory_disk.DEVICE, memory=512, exact=True, tsc_khz=0
    )
    folder = tmp_path_factory.mktemp("case")
    replay.record(options, folder / "no-symbols", folder, PROGRAM, "fails", 20)
    return folder, replay.load(folder)


def gdb(rewinder, *commands):
    """What gdb says to these commands."""
    every = (
        "set pagination off",
        "set architecture i386:x86-64",
        f"source {COMMANDS}",
        f"target remote {rewinder.gdb}",
        *commands,
    )
    argv = ["gdb", "-q", "-nx", "-batch", *(word for each in every for word in ("-ex", each))]
    env = {"LAB_CONTROL": str(rewinder.control), "PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300, check=False).stdout


def test_gdb_goes_back_and_comes_to_the_same_place_again(recorded, tmp_path):
    folder, recording = recorded
    at = recording.instructions // 2
    with rewind.Rewinder(recording, folder, tmp_path, at) as rewinder:
        show = ("lab-where", 'printf "rip %#lx rsp %#lx\\n", $rip, $rsp')
        said = gdb(rewinder, *show, "lab-reverse-stepi", *show, "stepi", *show, "lab-goto 1000000", "lab-where")
    where = [int(number.replace(",", "")) for number in re.findall(r"^instruction ([\d,]+)$", said, re.M)]
    registers = re.findall(r"^rip .*$", said, re.M)
    assert where == [at, at - 1, at, 1_000_000]
    assert registers[0] == registers[2] != registers[1]


def test_a_place_outside_the_recording_is_refused_and_nothing_is_lost(recorded, tmp_path):
    folder, recording = recorded
    with rewind.Rewinder(recording, folder, tmp_path, 1_000_000) as rewinder:
        said = gdb(rewinder, "lab-goto 0", "lab-reverse-stepi 2000000", "lab-where")
    assert "instruction 1,000,000" in said


def test_a_replay_that_cannot_begin_says_why(recorded, tmp_path):
    folder, recording = recorded
    with (
        pytest.raises(LabError, match="the recording has instructions 1 to"),
        rewind.Rewinder(recording, folder, tmp_path, recording.instructions + 1),
    ):
        pass
