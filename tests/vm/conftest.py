"""A kernel, an initramfs and a disk for tests that boot guests.

LAB_TEST_KERNEL (a vmlinux), LAB_TEST_HEADERS (the folder of its linux/ and asm/) and LAB_TEST_SELFTESTS (the folder of
kselftest_harness.h, the newest base's: older ones cannot run one test by its name) name a kernel that is there already;
else the newest base's is built, or found in the cache.
"""

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.cache import Cache
from harness.catalogue.load import load
from harness.catalogue.model import Filesystem
from harness.guest import disks, initramfs, programs
from harness.kernel import selftests, source
from harness.kernel.build import build as build_kernel
from harness.kernel.request import compose
from harness.machine import accel, snapshot
from harness.machine.command import Disk, Options
from harness.machine.machine import Machine
from harness.paths import cache_root, find_workspace
from harness.plan import newest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

EXT4 = Filesystem(
    title="ext4", type="ext4", size=32,
    mkfs="mke2fs -q -F -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 {disk}", check="e2fsck -fn {disk}",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vm)


@pytest.fixture(scope="session")
def cache():
    return Cache(cache_root())


class Place(NamedTuple):
    """What a guest needs of a kernel: files and folders."""

    vmlinux: Path
    headers: Path
    selftests: Path


@pytest.fixture(scope="session")
def place(cache):
    if "LAB_TEST_KERNEL" in os.environ:
        return Place(*(Path(os.environ[f"LAB_TEST_{name}"]) for name in ("KERNEL", "HEADERS", "SELFTESTS")))
    catalogue = load(find_workspace(ROOT))
    name = newest(catalogue.bases)
    kernel = build_kernel(compose(catalogue, name), cache)
    pinned = selftests.folder(source.fetch(name, catalogue.bases[name], cache, root=catalogue.root), cache)
    return Place(kernel.vmlinux, kernel.headers, pinned)


@pytest.fixture(scope="session")
def build(cache, place):
    """An initramfs with the test program in it, around any agent."""
    binaries = programs.build_programs(
        {"cases/vm/guest_test": HERE / "guest_test.c"}, cache,
        headers=place.headers, selftests=place.selftests, late=ROOT / "images" / "tiny" / "late_main.c",
    )  # fmt: skip

    def build(agent=ROOT / "images" / "tiny" / "agent.c"):
        return initramfs.build(agent, binaries, cache, headers=place.headers)

    return build


@pytest.fixture(scope="session")
def plain(place, build):
    """A guest without a disk."""
    return Options(place.vmlinux, build(), tsc_khz=accel.tsc_khz())


@pytest.fixture(scope="session")
def declared():
    """The filesystem of ``ext4``."""
    return EXT4


@pytest.fixture
def ext4(plain, cache, tmp_path):
    """A guest with an ext4 disk of its own."""
    disk = disks.copy_sparse(disks.make(EXT4, cache), tmp_path / "disk.img")
    return dataclasses.replace(plain, disks=(Disk(disk),), filesystem="ext4")


@pytest.fixture(scope="module")
def saved(plain, cache, declared, tmp_path_factory):
    """(options, snapshot) of a guest with ext4 mounted and the test program waiting, and one that there is not."""
    folder = tmp_path_factory.mktemp("saved")
    disk = disks.copy_sparse(disks.make(declared, cache), folder / "disk0")
    options = dataclasses.replace(plain, disks=(Disk(disk),), filesystem="ext4")
    options = dataclasses.replace(options, save=snapshot.new_memory(folder, options))
    with Machine(options, folder / "console.log") as machine:
        machine.wait_ready()
        machine.keep_waiting(("vm/guest_test", "vm/none_such"))
        return options, snapshot.save(machine, folder)
