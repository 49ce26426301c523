"""Options to argv, without a QEMU."""

import dataclasses
import json
from pathlib import Path

import pytest

from harness.machine.command import Accelerator, Disk, Options, Wires, arguments, kernel_parameters

PLAIN = Options(Path("/k/vmlinux"), Path("/k/init.cpio"))
WIRES = Wires(3, 4, 5)


def values(argv, flag):
    return [argv[at + 1] for at, word in enumerate(argv) if word == flag]


def test_no_listener_and_no_default_device():
    argv = arguments(PLAIN, WIRES)
    assert "-nodefaults" in argv
    assert "-no-user-config" in argv
    assert not any(word.startswith(("tcp:", "telnet:", "vnc")) or "server=on" in word for word in argv)
    assert not values(argv, "-netdev")
    assert all("fd=" in chardev for chardev in values(argv, "-chardev"))


def test_the_wires_are_those_that_are_inherited():
    assert [word.rpartition("=")[2] for word in values(arguments(PLAIN, WIRES), "-chardev")] == ["3", "4", "5"]
    assert WIRES.all == (3, 4, 5)
    assert not values(arguments(PLAIN, Wires(3, 4)), "-mon")


def test_disks_keep_their_order_and_their_commas():
    options = dataclasses.replace(PLAIN, disks=(Disk(Path("/d/a,b")), Disk(Path("/d/c"), read_only=True)))
    first, second = values(arguments(options, WIRES), "-drive")
    assert first.startswith("file=/d/a,,b,format=raw,")
    assert "read-only=on" not in first
    assert second.endswith("read-only=on")


def test_the_kernel_is_told_what_to_mount():
    options = dataclasses.replace(PLAIN, disks=(Disk(Path("/d")),), filesystem="ext4", mount="data=journal,noatime")
    assert kernel_parameters(options)[-3:] == ["lab.fs=ext4", "lab.device=/dev/vda", "lab.mount=data=journal,noatime"]
    assert "lab.device=/dev/vda" not in kernel_parameters(dataclasses.replace(PLAIN, filesystem="tmpfs"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tsc_khz": 2_600_000}, ["tsc_early_khz=2600000", "tsc=reliable"]),
        ({"tsc_khz": 0}, []),
        ({"tsc_khz": 2_600_000, "accelerator": Accelerator.KVM}, []),
        ({"tsc_khz": 2_600_000, "exact": True}, ["tsc_early_khz=1000000", "tsc=reliable"]),
    ],
)
def test_the_clock_is_told_only_where_it_cannot_be_measured(change, expected):
    words = kernel_parameters(dataclasses.replace(PLAIN, **change))
    assert [word for word in words if word.startswith("tsc")] == expected


def test_exact_counts_instructions_on_one_thread():
    argv = arguments(dataclasses.replace(PLAIN, exact=True), WIRES)
    assert values(argv, "-accel") == ["tcg,thread=single"]
    assert values(argv, "-icount") == ["shift=0,sleep=off"]


def test_memory_is_shared_when_saved_and_private_when_resumed():
    saved = arguments(dataclasses.replace(PLAIN, save=Path("/s/memory")), WIRES)
    resumed = arguments(dataclasses.replace(PLAIN, resume=Path("/s/memory")), WIRES)
    assert values(saved, "-object")[0].endswith("mem-path=/s/memory,share=on")
    assert values(resumed, "-object")[0].endswith("mem-path=/s/memory,share=off")
    assert "-incoming" in resumed
    assert "-incoming" not in saved


def test_an_exact_guest_has_nothing_that_differs_between_runs():
    argv = arguments(dataclasses.replace(PLAIN, exact=True), Wires(3, 4, 5, one_way=True))
    assert "virtio-rng-device" not in argv
    assert "clock=vm" in values(argv, "-rtc")[0]
    assert values(argv, "-seed") == ["1"]
    assert values(argv, "-add-fd") == ["fd=3,set=3", "fd=4,set=4"]
    assert [word for word in values(argv, "-chardev") if word.startswith("socket")] == ["socket,id=monitor,fd=5"]
    assert "norandmaps" in kernel_parameters(dataclasses.replace(PLAIN, exact=True))


def test_a_disk_that_the_agent_makes_is_named():
    options = dataclasses.replace(PLAIN, filesystem="ext4", device="/dev/loop0")
    assert "lab.device=/dev/loop0" in kernel_parameters(options)


def test_a_disk_whose_writes_are_kept_has_its_flushes_in_the_log_and_not_on_the_host():
    options = dataclasses.replace(PLAIN, disks=(Disk(Path("/d/a,b"), writes=Path("/d/log")),))
    argv = arguments(options, WIRES)
    assert not values(argv, "-drive")
    (node,) = (json.loads(text) for text in values(argv, "-blockdev"))
    assert (node["driver"], node["file"]["filename"], node["log"]["filename"]) == ("blklogwrites", "/d/a,b", "/d/log")
    assert "cache" not in node
    assert node["file"]["cache"] == node["log"]["cache"] == {"no-flush": True}


def test_a_guest_knows_how_much_slower_it_may_be():
    assert "lab.slower=12" in kernel_parameters(dataclasses.replace(PLAIN, slower=12.0))
    assert not [word for word in kernel_parameters(PLAIN) if word.startswith("lab.slower")]


def test_a_guest_may_mount_later():
    options = dataclasses.replace(PLAIN, filesystem="ext4", disks=(Disk(Path("/d")),), later=True)
    assert "lab.later=1" in kernel_parameters(options)
