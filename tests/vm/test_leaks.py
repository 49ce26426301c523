"""Guests forked in a row leave nothing: no process, no descriptor, no thread, no memory, no file.

LAB_TEST_FORKS says how many (40; benchmarks/forks.py does 500 and prints the same counts).
"""

import os
import threading
from pathlib import Path

from harness.guest import disks
from harness.machine import snapshot
from harness.machine.command import Disk
from harness.machine.outcome import Ended

PROGRAM = "vm/guest_test"
FORKS = int(os.environ.get("LAB_TEST_FORKS", "40"))
WARM = 5
"""Forks before anything is counted: caches fill, modules load."""


def one(saved, folder, number):
    """A fork; every tenth runs a case, and one of these panics."""
    options, made = saved
    disk = disks.copy_sparse(made.disks[0], folder / "disk.img")
    with snapshot.fork(options, made, (Disk(disk),), folder / "console.log") as machine:
        if number % 10 == 0:
            assert machine.run_case(PROGRAM, "passes").ended is Ended.DONE
        elif number % 10 == 1:
            assert machine.run_case(PROGRAM, "panics").ended is Ended.PANIC


def held(folder):
    """What this process and its guests hold: descriptors, threads, resident KiB, processes, entries, KiB of disk."""
    status = Path("/proc/self/status").read_text()
    resident = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
        "processes": len(of_ours(folder)),
        "entries": len(files),
        "disk": sum(path.stat().st_blocks for path in files) // 2,
    }, resident


def of_ours(folder):
    """Processes that name the folder, and children of this one (zombies too)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if str(folder).encode() in words or parent == os.getpid():
            found.append(entry.name)
    return found


def test_forks_in_a_row_leave_nothing(saved, tmp_path):
    for number in range(WARM):
        one(saved, tmp_path, number)
    before, resident = held(tmp_path)
    for number in range(FORKS):
        one(saved, tmp_path, number)
    after, grown = held(tmp_path)
    # The console of the last fork may be another length.
    assert abs(after.pop("disk") - before.pop("disk")) <= 256
    assert after == before
    assert after["processes"] == 0
    assert grown - resident < 4096, "KiB that Python keeps"
