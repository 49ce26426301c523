"""Whether a kernel boots: a guest of the lab from power-on to its first command, its console read for complaints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.cache import digest
from harness.catalogue.model import Scenario, Suite
from harness.kernel.build import Kernel
from harness.machine.accel import host_key
from harness.machine.machine import Machine
from harness.machine.outcome import BootError
from harness.plan import BASE, Job, State
from harness.runner.prepare import Place, Ready, Wishes, pack
from harness.verdict import splat

NO_CASES = Job(Scenario("boot", "boot", None), Suite(title="no case: the guest alone", cases={}), (), ())


@dataclass(frozen=True)
class Guest:
    """A kernel's guest, packed and not yet started."""

    ready: Ready

    @property
    def key(self) -> str:
        """Equal keys, equal boots: the host's QEMU and processor are part of it."""
        return digest("boot 2", host_key(), self.ready.kernel.key, repr(self.ready.options))

    def boot(self, console: Path) -> str:
        """Boot it once; why it is not fit to run cases in, or "" when it is. ``console`` is written.

        Raises InfraError when QEMU fails.
        """
        try:
            with Machine(self.ready.options, console) as machine:
                machine.wait_ready()
        except BootError as exc:
            return "\n".join((exc.message, *_complaint(console)))
        complaint = _complaint(console)
        return "\n".join(("it boots, with a complaint:", *complaint)) if complaint else ""


def _complaint(console: Path) -> tuple[str, ...]:
    """The lines of the first thing that the kernel complained of: a panic names only what came of it."""
    found = splat.scan(console.read_text(errors="replace")) if console.exists() else []
    return found[0].excerpt if found else ()


def guest(place: Place, kernel: Kernel, base: str, wishes: Wishes, scratch: Path) -> Guest:
    """The tiny guest of a kernel. Raises UserError, BuildError, InfraError."""
    return Guest(pack(place, NO_CASES, State(BASE, base), kernel, wishes, scratch))
