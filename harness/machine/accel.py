"""Which accelerator works here, known from a guest that ran, not from a device that is there.

    accel = choose(asked, boots, Cache(root))         # boots(Accelerator) raises LabError when its guest is not ready

On many machines /dev/kvm opens, even makes a virtual machine, and yet no guest ever prints. So the first time on a host
a real guest is started under KVM, with a deadline; the answer is kept until the host boots anew or its QEMU changes.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache as memoise
from pathlib import Path

from harness.cache import Cache, digest
from harness.errors import InfraError, LabError, UserError
from harness.machine.command import QEMU, Accelerator, Options
from harness.machine.deadline import Deadline
from harness.machine.machine import Machine
from harness.process import require

PROBE = 5.0
"""Seconds in which a guest is ready under any KVM that works: it needs less than one."""

KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Accel:
    """What guests run under here, why, and the rate of the host's time stamp counter (0: not known)."""

    accelerator: Accelerator
    reason: str
    tsc_khz: int = 0


def host_key() -> str:
    """What an answer holds for: this boot of this host (its CPU and kernel), this QEMU, this user's right to KVM."""
    boot = _text("/proc/sys/kernel/random/boot_id")
    qemu = Path(require(QEMU)).resolve()
    facts = qemu.stat()
    return digest(
        "accel 1", boot, platform.release(), platform.machine(), str(qemu), f"{facts.st_size} {facts.st_mtime_ns}",
        str(KVM.exists()), str(os.access(KVM, os.R_OK | os.W_OK)),
    )  # fmt: skip


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def choose(asked: str | None, boots: Callable[[Accelerator], float], cache: Cache) -> Accel:
    """The accelerator to use. ``asked`` (kvm or tcg) is taken at its word; else what was found to work.

    ``boots`` starts the probe guest and returns the seconds it took to be ready; it raises LabError when it was not.
    Raises UserError for an accelerator that does not exist.
    """
    if asked:
        if asked not in list(Accelerator):
            raise UserError(f"no accelerator {asked!r}", hint="kvm or tcg; without --accel the lab finds out")
        return Accel(Accelerator(asked), "asked for", _known(cache).tsc_khz)
    known = _known(cache)
    if known.reason:
        return known
    accelerator, reason = _probe(boots)
    return _remember(replace(known, accelerator=accelerator, reason=reason), cache)


def remembered(cache: Cache) -> Accel | None:
    """What was found out on this host, or None while no guest was tried under KVM."""
    known = _known(cache)
    return known if known.reason else None


def _known(cache: Cache) -> Accel:
    """What is remembered of this host; ``reason`` is "" while no guest was tried."""
    try:
        facts = json.loads((cache.root / "hosts" / f"{host_key()}.json").read_text())
        return Accel(Accelerator(facts["accelerator"]), facts["reason"], int(facts["tsc_khz"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _remember(Accel(Accelerator.TCG, "", tsc_khz()), cache)


def _remember(accel: Accel, cache: Cache) -> Accel:
    folder = cache.root / "hosts"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{host_key()}.{os.getpid()}"
    part.write_text(json.dumps(asdict(accel)))
    part.rename(folder / f"{host_key()}.json")
    return accel


def _probe(boots: Callable[[Accelerator], float]) -> tuple[Accelerator, str]:
    if not KVM.exists():
        return Accelerator.TCG, "KVM: there is no /dev/kvm"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Accelerator.TCG, "KVM: /dev/kvm is not yours to open (is the user in the group kvm?)"
    try:
        seconds = boots(Accelerator.KVM)
    except LabError as exc:
        why = exc.message.splitlines()[0].replace("qemu-system-x86_64: error: ", "")
        return Accelerator.TCG, f"KVM: the device opens, but {why}"
    return Accelerator.KVM, f"a probe guest was ready in {seconds:.1f} s"


def boot_probe(options: Options, console: Path) -> Callable[[Accelerator], float]:
    """A ``boots`` for ``choose``: the very guest that is to be run, without its disks, up to its first words.

    What it raises are BootError (never ready) and InfraError (QEMU refused).
    """

    def boots(accelerator: Accelerator) -> float:
        bare = replace(options, accelerator=accelerator, disks=(), filesystem="", save=None, resume=None)
        clock = Deadline(PROBE)
        with Machine(bare, console) as machine:
            machine.wait_ready(clock)
            return clock.elapsed

    return boots


READ_TSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")
"""rdtsc; shl rdx, 32; or rax, rdx; ret"""


@memoise
def tsc_khz() -> int:
    """The rate of this host's time stamp counter in kHz, to about a millionth; 0 where it cannot be told.

    TCG gives guests the host's counter, but a guest that measures it against an emulated PIT gets too much noise, marks
    it unstable and is left with a clock that moves every 4 ms. So it is measured here and the kernel is told.
    """
    if platform.machine() != "x86_64":
        return 0
    try:
        with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
            page.write(READ_TSC)
            code = ctypes.c_char.from_buffer(page)
            try:
                read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(code))
                return _rate(read)
            finally:
                del code
    except (OSError, ValueError, InfraError):  # a host that maps nothing writable and executable
        return 0


def _rate(read: Callable[[], int]) -> int:
    first_ns, first = _sample(read)
    time.sleep(0.05)
    last_ns, last = _sample(read)
    return round((last - first) * 1_000_000 / (last_ns - first_ns))


def _sample(read: Callable[[], int]) -> tuple[int, int]:
    """Nanoseconds and counter at one moment: of several tries the one least disturbed."""
    tries = []
    for _ in range(20):
        before = time.perf_counter_ns()
        ticks = read()
        after = time.perf_counter_ns()
        tries.append((after - before, (before + after) // 2, ticks))
    _, when, ticks = min(tries)
    return when, ticks
