"""A workspace of equal small cases: the suites ``cases-<n>`` of n cases on ext4, on kernels the cache has already."""

from __future__ import annotations

import shutil
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
SERIES = "checkpoint-relink"
"""Its first state is the kernel that is measured: both are in the cache of whoever has run the lab's own suites."""
STATE = "without"

HEAD = """\
// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kselftest_harness.h"

static void unlinked(struct __test_metadata *const _metadata)
{
	struct stat st;
	int fd = open("a", O_RDWR | O_CREAT, 0600);

	ASSERT_LE(0, fd);
	ASSERT_EQ(3, write(fd, "foo", 3));
	ASSERT_EQ(0, unlink("a"));
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, st.st_nlink);
}

"""


def make(folder: Path, counts: list[int]) -> Path:
    """``folder``, now a workspace whose suites ``cases-<n>`` have n equal cases."""
    shutil.copytree(TREE / "kernel-patches", folder / "kernel-patches", dirs_exist_ok=True)
    shutil.copy(TREE / "benchmarks" / "vng.config", folder / "kernel-patches" / "config" / "vng.config")
    for count in counts:
        suite = folder / "testcases" / f"cases-{count}"
        suite.mkdir(parents=True)
        tests = "".join(f"TEST(case_{number})\n{{\n\tunlinked(_metadata);\n}}\n\n" for number in range(count))
        (suite / "many_test.c").write_text(HEAD + tests + "TEST_HARNESS_MAIN\n")
        cases = "".join(f'[cases.case_{number}]\ntitle = "open, write, unlink, fstat"\n' for number in range(count))
        (suite / "suite.toml").write_text(f'title = "{count} small cases"\nfilesystems = ["ext4"]\n{cases}')
    return folder
