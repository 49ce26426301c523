"""Exact guests: their clock counts instructions, and nothing reaches them from outside.

A state is made exact once (``ready``), then each case boots from power-on with its name on the kernel's command line.
Its disk is memory of the guest, as a virtio disk answers when the host has time; there is no checker afterwards. What
remains is a machine whose every instruction follows from kernel, initramfs and command line (docs/exact.md).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.cache import Cache
from harness.errors import UserError
from harness.guest import memory_disk
from harness.machine import accel, channel
from harness.machine.command import Accelerator, Options
from harness.machine.deadline import Deadline
from harness.machine.machine import Machine
from harness.machine.outcome import BootError, Ended, RawResult
from harness.runner.prepare import Ready, Wishes

REASON = "only TCG counts instructions"
DISK_MEMORY = 512
"""MiB beyond the image's own: the disk lives in the guest's memory."""
BOOT = 180.0
SLOWER = 20
"""How many times longer than its own clock says an exact guest may take: it runs some 50 million instructions a second
of a host that does nothing else, and each is a nanosecond."""
SILENCE = 120.0
"""Heart beats come every 0.3 s of the guest's clock, which are 300 million instructions when it is busy."""


def wishes(asked: Wishes) -> Wishes:
    """The wishes of an exact run.

    Raises UserError when another accelerator was asked for.
    """
    if asked.accelerator not in (None, Accelerator.TCG.value):
        raise UserError(f"--exact with --accel {asked.accelerator}: {REASON}")
    return replace(asked, accelerator=Accelerator.TCG.value, cold=True, exact=True)


def ready(packed: Ready, cache: Cache, *, record: bool = False) -> Ready:
    """A packed state whose guests are exact.

    Raises InfraError when the disk cannot be put into the initramfs.
    """
    options = replace(
        packed.options,
        accelerator=Accelerator.TCG,
        exact=True,
        cpus=1,
        tsc_khz=0,
        disks=(),
    )
    if packed.disk:
        options = replace(
            options,
            initramfs=memory_disk.attach(options.initramfs, packed.disk, cache),
            device=memory_disk.DEVICE,
            memory=options.memory + DISK_MEMORY,
        )
    chosen = accel.Accel(Accelerator.TCG, REASON)
    return replace(packed, options=options, disk=None, accel=chosen, cold=True, exact=True, record=record)


def of_case(options: Options, program: str, test: str | None, seconds: float) -> Options:
    """The guest that runs one case, unasked, and then ends."""
    own = channel.parameter(program, test, seconds * options.slower)
    return replace(options, extra=(*options.extra, own))


def run(options: Options, console: Path, program: str, test: str | None, seconds: float) -> RawResult:
    """A case in an exact guest. ``seconds`` are the case's own, by the guest's clock.

    Raises InfraError when QEMU cannot be started.
    """
    with Machine(of_case(options, program, test, seconds), console) as machine:
        return follow(machine, seconds)


def follow(machine: Machine, seconds: float) -> RawResult:
    """The end of the case that a machine was started for."""
    try:
        machine.wait_ready(Deadline(BOOT))
    except BootError as exc:
        log = machine.log
        return RawResult(Ended.NO_BOOT, exc.message, console=log.path, console_to=log.size, argv=machine.argv)
    raw = machine.follow_case(seconds * SLOWER, SILENCE)
    if raw.ended is Ended.TIMEOUT:
        return replace(raw, detail=f"did not end within {seconds:g} s of the guest's clock")
    return raw
