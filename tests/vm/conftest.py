"""A kernel, an initramfs and a disk for tests that boot guests.

LAB_TEST_KERNEL (a vmlinux) and LAB_TEST_HEADERS (the folder of its linux/ and asm/), LAB_TEST_SELFTESTS (the folder of
kselftest_harness.h) name a kernel that is there already; otherwise the first base's is built, or found in the cache.
"""

import dataclasses
import os
from pathlib import Path

import pytest

from harness.cache import Cache
from harness.catalogue.model import Filesystem
from harness.guest import disks, initramfs, programs
from harness.machine import accel
from harness.machine.command import Disk, Options
from harness.paths import cache_root

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


@pytest.fixture(scope="session")
def kernel():
    asked = os.environ.get("LAB_TEST_KERNEL")
    if not asked:
        pytest.fail("tests/vm need a kernel: set LAB_TEST_KERNEL, LAB_TEST_HEADERS and LAB_TEST_SELFTESTS")
    return Path(asked)


@pytest.fixture(scope="session")
def headers():
    return Path(os.environ["LAB_TEST_HEADERS"])


@pytest.fixture(scope="session")
def selftests():
    return Path(os.environ["LAB_TEST_SELFTESTS"])


@pytest.fixture(scope="session")
def build(cache, headers, selftests):
    """An initramfs with the test program in it, around any agent."""
    binaries = programs.build_programs(
        {"cases/vm/guest_test": HERE / "guest_test.c"}, cache, headers=headers, selftests=selftests
    )

    def build(agent=ROOT / "images" / "tiny" / "agent.c"):
        return initramfs.build(agent, binaries, cache, headers=headers)

    return build


@pytest.fixture(scope="session")
def plain(kernel, build):
    """A guest without a disk."""
    return Options(kernel, build(), tsc_khz=accel.tsc_khz())


@pytest.fixture(scope="session")
def declared():
    """The filesystem of ``ext4``."""
    return EXT4


@pytest.fixture
def ext4(plain, cache, tmp_path):
    """A guest with an ext4 disk of its own."""
    disk = disks.copy_sparse(disks.make(EXT4, cache), tmp_path / "disk.img")
    return dataclasses.replace(plain, disks=(Disk(disk),), filesystem="ext4")
