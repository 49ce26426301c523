"""How long a person waits: one command, side by side in one run, medians and ratios.

    python benchmarks/run.py [--repeat 5]        (with the lab's own Python; kernels must be in the cache)

What is measured is `lab run` as it is typed, on suites of 1, 10 and 100 small cases on ext4, forked and cold, and the
share of it that is neither in QEMU nor in make. Prints a Markdown table; docs/performance.md keeps the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]

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


def workspace(folder: Path, counts: list[int]) -> None:
    """A workspace whose suites ``case-<n>`` have n equal cases."""
    shutil.copytree(TREE / "kernel-patches", folder / "kernel-patches")
    shutil.copytree(TREE / "images", folder / "images")
    shutil.copytree(TREE / "testcases" / "include", folder / "testcases" / "include")
    shutil.copytree(TREE / "testcases" / "tools", folder / "testcases" / "tools")
    for count in counts:
        suite = folder / "testcases" / f"cases-{count}"
        suite.mkdir()
        tests = "".join(f"TEST(case_{number})\n{{\n\tunlinked(_metadata);\n}}\n\n" for number in range(count))
        (suite / "many_test.c").write_text(HEAD + tests + "TEST_HARNESS_MAIN\n")
        cases = "".join(f'[cases.case_{number}]\ntitle = "open, write, unlink, fstat"\n' for number in range(count))
        (suite / "suite.toml").write_text(f'title = "{count} small cases"\nfilesystems = ["ext4"]\n{cases}')


def lab(folder: Path, *argv: str) -> tuple[float, dict[str, object]]:
    """Seconds of one `lab` command, and what it answered."""
    environment = os.environ | {"LAB_WORKSPACE": str(folder), "PYTHONPATH": str(TREE)}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--format", "json", *argv],
        env=environment, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - started
    if done.returncode != 0:
        sys.exit(f"lab run {' '.join(argv)} exited with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds, json.loads(done.stdout)


def median(folder: Path, repeat: int, *argv: str) -> tuple[float, float]:
    """Median seconds of the command, and of its cases alone (the sum of what the guests took)."""
    lab(folder, *argv)
    runs = [lab(folder, *argv) for _ in range(repeat)]
    inside = [sum(case["outcome"]["duration"] for case in answer["cases"]) for _, answer in runs]
    return statistics.median(seconds for seconds, _ in runs), statistics.median(inside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10, 100])
    repeat, counts = (arguments := parser.parse_args()).repeat, arguments.counts
    with tempfile.TemporaryDirectory(prefix="lab-bench.") as scratch:
        folder = Path(scratch)
        workspace(folder, counts)
        rows = []
        for count in counts:
            scenario = f"ext4-cases-{count}"
            forked, inside = median(folder, repeat, scenario)
            cold, _ = median(folder, 1 if count > 10 else repeat, scenario, "--cold")
            rows.append((count, forked, inside, cold))
    print(f"load before {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, medians of {repeat}\n")
    print("| cases | `lab run`, forked | in guests, summed | `lab run --cold` | cold / forked |")
    print("|---|---|---|---|---|")
    for count, forked, inside, cold in rows:
        print(f"| {count} | {forked:.2f} s | {inside:.2f} s | {cold:.2f} s | {cold / forked:.1f} |")


if __name__ == "__main__":
    main()
