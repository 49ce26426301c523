"""Options to QEMU's argv. Pure: small functions, each flag with its reason.

The machine is ``microvm``: no firmware tables, no PCI, virtio-mmio devices only. The kernel is an uncompressed vmlinux
entered through its PVH note, so nothing is decompressed under TCG.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

QEMU = "qemu-system-x86_64"

EXACT_TSC_KHZ = 1_000_000
"""Under -icount the TSC counts virtual nanoseconds."""


SAME = ("-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "1")
"""The same wall clock and the same answers to RDRAND at each start."""


class Accelerator(StrEnum):
    """How the guest's instructions are run."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class Disk:
    """A raw image given to the guest as the next of /dev/vda, /dev/vdb, ..."""

    path: Path
    read_only: bool = False
    writes: Path | None = None  # a file that takes every write and flush, in their order (harness.machine.writes)


@dataclass(frozen=True)
class Options:
    """One guest. ``memory`` is MiB. ``filesystem`` and ``mount`` say what the agent mounts on /mnt from the first disk.

    ``tsc_khz`` is the rate of the guest's time stamp counter under TCG, 0 to let the kernel find out (it often cannot).
    ``device`` is that disk when it is not QEMU's: one that the agent makes in memory.
    ``later`` mounts nothing before the first case.
    ``extra`` are more words for the kernel's command line. ``exact`` counts instructions instead of time, and takes
    away whatever would not be the same in every run.
    ``record`` keeps a log from which ``replay`` runs an exact guest again, instruction for instruction; such a guest
    stops at its end instead of ending QEMU, and a replayed one also before its first instruction.
    ``slower`` is how many times as long everything in it may take: the guest of a kernel that checks itself.
    ``save`` keeps the guest's memory in that file from the start, ``resume`` starts from one that was kept so, without
    changing it: then everything else must be as it was when it was saved. ``restore`` starts from a state that holds
    memory too, ``named`` when the guest that it is of had its memory in a file. ``standing``: until it is let go on.
    ``zygote`` is the library with which QEMU can be forked as it is (harness.machine.zygote).
    """

    kernel: Path
    initramfs: Path
    memory: int = 256
    cpus: int = 1
    accelerator: Accelerator = Accelerator.TCG
    tsc_khz: int = 0
    disks: tuple[Disk, ...] = ()
    filesystem: str = ""
    mount: str = ""
    device: str = ""
    later: bool = False
    extra: tuple[str, ...] = ()
    exact: bool = False
    record: Path | None = None
    replay: Path | None = None
    save: Path | None = None
    resume: Path | None = None
    restore: bool = False
    standing: bool = False
    named: bool = False
    zygote: Path | None = None
    slower: float = 1.0

    @property
    def goes_on(self) -> bool:
        """Whether this is a guest that was saved: its kernel is in its memory."""
        return self.restore or self.resume is not None


@dataclass(frozen=True)
class Wires:
    """File descriptors QEMU inherits: connected stream sockets, each the far end of one the host holds.

    ``one_way``: console and port are the writing ends of pipes instead, for guests that get no input.
    ``gdb`` is a listening socket for a debugger, ``zygote`` a socket on which QEMU is asked to fork.
    """

    console: int
    port: int
    monitor: int = -1
    one_way: bool = False
    gdb: int = -1
    zygote: int = -1
    all: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        every = (self.console, self.port, self.monitor, self.gdb, self.zygote)
        object.__setattr__(self, "all", tuple(fd for fd in every if fd >= 0))


def kernel_parameters(options: Options) -> list[str]:
    """The words of the kernel's command line, in order."""
    words = [
        "console=ttyS0",
        # A case that turns the console's level down must not hide its splats.
        "ignore_loglevel",
        # The agent marks on the console where a case begins; that line must not fall to a rate limit.
        "printk.devkmsg=on",
        # A panic resets the machine at once, -no-reboot makes that the end of QEMU; a triple fault always works.
        "panic=-1",
        "reboot=t",
        # On a busy host too few ticks come in the time that the kernel waits for some, and it panics: no IO-APIC timer.
        "no_timer_check",
        # An oops does not panic: it is on the console either way, and the case's own last words would be lost.
        # No sysctl.* here: each costs the boot a grace period of RCU. The agent sets what is needed.
    ]
    return words + _clock(options) + _exact(options) + _lab(options) + list(options.extra)


def _clock(options: Options) -> list[str]:
    """Under TCG the kernel fails to measure its TSC against the PIT and is left with jiffies: tell it the rate."""
    khz = EXACT_TSC_KHZ if options.exact else options.tsc_khz
    if options.accelerator is Accelerator.KVM or not khz:
        return []
    return [f"tsc_early_khz={khz}", "tsc=reliable"]


def _exact(options: Options) -> list[str]:
    if not options.exact:
        return []
    # nolapic_timer: measuring it takes 0.2 s of the guest's clock, which are 200 million instructions of waiting.
    # norandmaps: the layout of a program is the same under two kernels that drew different numbers before.
    return ["nolapic_timer", "norandmaps"]


def _lab(options: Options) -> list[str]:
    words = [f"lab.slower={options.slower:g}"] if options.slower > 1 else []
    if not options.filesystem:
        return words
    words.append(f"lab.fs={options.filesystem}")
    device = options.device or ("/dev/vda" if options.disks else "")
    if device:
        words.append(f"lab.device={device}")
    if options.mount:
        words.append(f"lab.mount={options.mount}")
    if options.later:
        words.append("lab.later=1")
    return words


def _machine(options: Options) -> list[str]:
    # acpi=off: only then does QEMU name the virtio-mmio devices on the command line, and the kernel needs no ACPI.
    machine = "microvm,acpi=off,isa-serial=on,x-option-roms=off"
    if options.save or options.resume or options.named:
        machine += ",memory-backend=ram"
    return [
        "-nodefaults", "-no-user-config", "-display", "none",
        "-M", machine,
        *_end(options),
        "-m", str(options.memory), "-smp", str(options.cpus),
    ]  # fmt: skip


def _end(options: Options) -> list[str]:
    if not (options.record or options.replay):
        return ["-no-reboot", *(["-S"] if options.standing else [])]
    # The log is whole only when QEMU is told to quit, and its last instruction can be asked for before.
    return ["-action", "reboot=shutdown,shutdown=pause", *(["-S"] if options.replay else [])]


def _memory(options: Options) -> list[str]:
    """Memory as a file: a saved guest's memory is mapped copy-on-write by every guest that resumes it, not copied."""
    path = options.save or options.resume
    if path is None:
        return ["-object", f"memory-backend-ram,id=ram,size={options.memory}M"] if options.named else []
    share = "on" if options.save else "off"
    return ["-object", f"memory-backend-file,id=ram,size={options.memory}M,mem-path={_quoted(path)},share={share}"]


def _accelerator(options: Options) -> list[str]:
    if options.accelerator is Accelerator.KVM:
        return ["-accel", "kvm", "-cpu", "host"]
    # max has what a current machine has (xsave, smap); five-level page tables only make each fault slower.
    argv = ["-accel", "tcg,thread=single" if options.exact else "tcg", "-cpu", "max,la57=off"]
    # Time stands still while the guest idles: its clock is the count of its instructions.
    if not options.exact:
        return argv
    return [*argv, "-icount", "shift=0,sleep=off" + _recorder(options), *SAME]


def _recorder(options: Options) -> str:
    if options.record:
        return f",rr=record,rrfile={_quoted(options.record)}"
    return f",rr=replay,rrfile={_quoted(options.replay)}" if options.replay else ""


def _kernel(options: Options) -> list[str]:
    if options.goes_on:
        return []
    return [
        "-kernel", str(options.kernel),
        "-initrd", str(options.initramfs),
        "-append", " ".join(kernel_parameters(options)),
    ]  # fmt: skip


def _quoted(path: Path) -> str:
    """A path as a value of a QEMU option: a comma is doubled."""
    return str(path).replace(",", ",,")


def _disk(number: int, disk: Disk) -> list[str]:
    if disk.writes:
        return _logged_disk(number, disk, disk.writes)
    # unsafe: the image outlives no power cut of the host, and flushes of the guest need not reach its platters.
    drive = f"file={_quoted(disk.path)},format=raw,if=none,id=disk{number},cache=unsafe,discard=unmap"
    # A disk that nobody writes for a while (a guest that is saved) would be opened anew, read-only and by its name; in
    # a fork of a zygote the name is another guest's disk.
    drive += ",read-only=on" if disk.read_only else ",auto-read-only=off"
    return ["-drive", drive, "-device", f"virtio-blk-device,drive=disk{number}"]


def _logged_disk(number: int, disk: Disk, writes: Path) -> list[str]:
    # The guest's flushes reach the log, which is what they are wanted for; its file and the disk's need none.
    node = {
        "driver": "blklogwrites", "node-name": f"disk{number}", "discard": "unmap", "log-sector-size": 512,
        "file": {"driver": "file", "filename": str(disk.path), "discard": "unmap", "cache": {"no-flush": True}},
        "log": {"driver": "file", "filename": str(writes), "cache": {"no-flush": True}},
    }  # fmt: skip
    return ["-blockdev", json.dumps(node), "-device", f"virtio-blk-device,drive=disk{number}"]


def _wire(name: str, fd: int, wires: Wires) -> list[str]:
    if not wires.one_way:
        return ["-chardev", f"socket,id={name},fd={fd}"]
    # append=on: else QEMU would truncate it, which a pipe does not take.
    return ["-add-fd", f"fd={fd},set={fd}", "-chardev", f"file,id={name},path=/dev/fdset/{fd},append=on"]


def _wires(wires: Wires) -> list[str]:
    argv = [
        # The console is for the record, on the one device the kernel can write to from its first to its last breath.
        *_wire("console", wires.console, wires), "-serial", "chardev:console",
        # Results have a wire of their own: printk cannot garble them.
        *_wire("port", wires.port, wires),
        "-device", "virtio-serial-device,max_ports=2", "-device", "virtserialport,chardev=port,name=lab",
    ]  # fmt: skip
    if wires.monitor >= 0:
        argv += ["-chardev", f"socket,id=monitor,fd={wires.monitor}", "-mon", "chardev=monitor,mode=control"]
    if wires.gdb >= 0:
        argv += ["-chardev", f"socket,id=gdb,fd={wires.gdb},server=on,wait=off", "-gdb", "chardev:gdb"]
    return argv


def _entropy(options: Options) -> list[str]:
    """An exact guest has RDRAND alone: virtio-rng answers when the host comes to it."""
    return [] if options.exact else ["-device", "virtio-rng-device"]


def _confinement(options: Options) -> list[str]:
    """Seccomp filters of QEMU's own: a guest that breaks out cannot start programs or gain rights.

    Who is to be forked has filters of its library's instead of ``spawn``: no programs, and no processes in a fork.
    """
    spawn = "allow" if options.zygote else "deny"
    return ["-sandbox", f"on,obsolete=deny,elevateprivileges=deny,spawn={spawn},resourcecontrol=deny"]


def _preloaded(options: Options, wires: Wires) -> list[str]:
    if options.zygote is None:
        return []
    # Not in the lab's own environment: only QEMU is to have it, not what guards it.
    return ["env", f"LD_PRELOAD={options.zygote}", f"LAB_ZYGOTE={wires.zygote}"]


def arguments(options: Options, wires: Wires) -> list[str]:
    """QEMU's whole argv."""
    argv = [*_preloaded(options, wires), QEMU]
    argv += [*_machine(options), *_memory(options), *_accelerator(options), *_kernel(options)]
    # virtio-mmio slots are handed out in order; the first disk is always /dev/vda.
    for number, disk in enumerate(options.disks):
        argv += _disk(number, disk)
    # Without a source of entropy a guest waits for its first random number, and forks would share one stream.
    argv += [*_wires(wires), *_entropy(options)]
    if options.goes_on:
        # The state is told where to come from once the monitor has set it up.
        argv += ["-incoming", "defer"]
    return argv + _confinement(options)


def by_hand(options: Options) -> list[str]:
    """QEMU's argv for a person: the console on the terminal, nothing written to the disks, no wires to the lab."""
    argv = [QEMU, *_machine(options), *_accelerator(options), *_kernel(options)]
    for number, disk in enumerate(options.disks):
        argv += [word + ",snapshot=on" if word.startswith("file=") else word for word in _disk(number, disk)]
    argv += ["-serial", "mon:stdio", "-device", "virtio-serial-device,max_ports=2"]
    argv += ["-chardev", "null,id=port", "-device", "virtserialport,chardev=port,name=lab"]
    return [*argv, *_entropy(options)]
