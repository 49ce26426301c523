"""The same cases with virtme-ng: one kernel, one accelerator, one after the other, and the lab's way beside it.

virtme-ng is installed from PyPI into a folder that is gone afterwards. Its guest has the host's root over 9p and mounts
the case's disk; what runs in it is the lab's own program, with the same arguments. The kernel has what both need
(vng.config) and is built when the cache does not have it: minutes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

from benchmarks import forks, measure, workspace
from harness.guest import disks

VERSION = "virtme-ng==1.42"
CONFIG = "vng"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks vng", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of vng; a hundred are extrapolated from fewer")
    parser.add_argument("--repeat", type=int, default=3, help="of the lab")
    asked = parser.parse_args(arguments)
    print(measure.load())
    with tempfile.TemporaryDirectory(prefix="lab-bench.") as scratch:
        folder = Path(scratch)
        place = workspace.make(folder / "workspace", [1, 100])
        bin_ = _install(folder)
        mine = _lab(place, asked.repeat)
        theirs = _vng(place, folder, bin_, asked.runs)
    told = f"100 x the median of {asked.runs}" if asked.runs < 100 else "100"
    seconds = 100 * measure.median(theirs, lambda run: run.seconds)
    processor = 100 * measure.median(theirs, lambda run: run.processor)
    own = measure.median(mine, lambda run: run.seconds), measure.median(mine, lambda run: run.processor)
    print(f"load after {os.getloadavg()[0]:.1f}\n")
    rows = [
        ("vng, one by one", told, f"{seconds:.1f}", f"{processor:.1f}"),
        ("lab run", f"100, median of {asked.repeat}", f"{own[0]:.1f}", f"{own[1]:.1f}"),
        ("vng : lab", "", f"{seconds / own[0]:.1f}", f"{processor / own[1]:.1f}"),
    ]
    print(measure.table(("a hundred cases", "measured", "seconds", "processor seconds"), rows))


def _install(folder: Path) -> Path:
    """virtme-ng's programs, in a Python of their own."""
    environment = dict(os.environ)
    measure.command([sys.executable, "-m", "venv", str(folder / "vng")], folder, environment)
    measure.command([str(folder / "vng" / "bin" / "pip"), "install", "-q", VERSION], folder, environment)
    return folder / "vng" / "bin"


def _lab(place: Path, repeat: int) -> list[measure.Run]:
    measure.lab(place, "ext4-cases-100", "--config", CONFIG)
    return [measure.lab(place, "ext4-cases-100", "--config", CONFIG)[0] for _ in range(repeat)]


def _vng(place: Path, folder: Path, programs: Path, runs: int) -> list[measure.Run]:
    ready = forks.get_ready(place, folder, (CONFIG,))
    assert ready.disk is not None
    program = _program(ready.options.initramfs, folder)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    said = folder / "said.txt"
    case = f"mount /dev/[sv]da /mnt && cd /mnt && {program} -t case_0; cd /; umount /mnt && echo GONE"
    found = []
    for _ in range(runs):
        disk = disks.copy_sparse(ready.disk, folder / "vng.img")
        vng = (
            f"vng -r {ready.kernel.vmlinux} --disable-kvm --force-9p --cpus 1 --memory 256M --rwdir={folder} "
            f"-a no_timer_check --disk {disk} -- '{{ {case}; }} >{said} 2>&1'"
        )
        # It insists on a terminal, and without udev in the host's root its exit code says nothing.
        run = measure.command(["sh", "-c", f"script -qc {shlex.quote(vng)} /dev/null; true"], folder, environment)
        told = said.read_text() if said.exists() else ""
        if "ok 1 global.case_0" not in told or "GONE" not in told:
            sys.exit(f"vng did not run the case:\n{told}\n{run.output[-3000:]}")
        said.unlink()
        found.append(run)
    return found


def _program(initramfs: Path, folder: Path) -> Path:
    """The case's program, out of the guest it is in."""
    data = initramfs.read_bytes()
    name = data.index(b"cases/cases-1/many_test\0")
    head = data[data.rindex(b"070701", 0, name) : name]
    size = int(head[54:62], 16)
    start = name + len(b"cases/cases-1/many_test\0")
    start += -(start - data.rindex(b"070701", 0, name)) % 4
    path = folder / "many_test"
    path.write_bytes(data[start : start + size])
    path.chmod(0o755)
    return path
