"""A guest kept as its case left it: saved while it runs on, opened again at that moment, as often as one likes."""

import dataclasses
import time

import pytest

from harness.errors import InfraError
from harness.guest import disks
from harness.machine import channel, snapshot
from harness.machine.command import Disk
from harness.machine.console import wait_for_prompt
from harness.machine.machine import Machine
from harness.machine.outcome import Ended

PROGRAM = "vm/guest_test"


class Kept:
    """A ``Look`` that saves the guest the first time it is asked."""

    def __init__(self, machine, folder):
        self.machine, self.folder = machine, folder
        self.seen = []

    def __call__(self, raw):
        self.seen.append(raw)
        self.machine.standing_still(self.save)

    def save(self):
        snapshot.save_whole(self.machine, self.folder / "state")
        disks.copy_sparse(self.machine.options.disks[0].path, self.folder / "kept.img")


@pytest.fixture
def kept(ext4, tmp_path):
    """Run a case and keep its guest: the look, and how the case ended all the same."""

    def kept(test, seconds=10):
        with Machine(ext4, tmp_path / "console.log") as machine:
            machine.wait_ready()
            look = Kept(machine, tmp_path)
            return look, machine.run_case(PROGRAM, test, seconds, look=look)

    return kept


@pytest.fixture
def again(ext4, tmp_path):
    def again(name):
        disk = disks.copy_sparse(tmp_path / "kept.img", tmp_path / f"{name}.img")
        options = dataclasses.replace(ext4, disks=(Disk(disk),), restore=True)
        return snapshot.restored(options, tmp_path / "state", tmp_path / f"{name}.log")

    return again


def ask(machine, command):
    """What a shell on the guest's console answers."""
    machine.console_socket.sendall(command.encode() + b"\n")
    return wait_for_prompt(machine.console_socket).decode()


def test_the_case_goes_on_after_its_guest_was_kept(kept, ext4, declared):
    look, result = kept("leaves_a_task")
    assert [raw.ended for raw in look.seen] == [Ended.DONE]
    assert (look.seen[0].exit_code, look.seen[0].unmount, look.seen[0].left) == (0, "", ())
    assert "ok 1 global.leaves_a_task" in look.seen[0].ktap
    assert (result.ended, result.exit_code, result.unmount, result.left) == (Ended.DONE, 0, "ok", ("tasks 1",))
    assert disks.check(declared, ext4.disks[0].path).clean


def test_what_the_case_left_is_there_when_it_is_opened_again(kept, again):
    kept("leaves_mounts")
    for name in ("one", "two"):
        with again(name) as machine:
            machine.send(channel.SHELL)
            wait_for_prompt(machine.console_socket)
            assert "/mnt/below/deeper" in ask(machine, "cat /proc/mounts")
            assert "trace" not in ask(machine, "ls /mnt")
            ask(machine, "touch /mnt/trace")
            assert "trace" in ask(machine, "ls /mnt")


def test_a_hung_guest_is_kept_before_it_is_made_to_panic(kept):
    look, result = kept("spins_in_the_kernel", seconds=30)
    assert [raw.ended for raw in look.seen] == [Ended.HANG]
    assert result.ended is Ended.HANG
    assert "Kernel panic" not in result.console.read_text()[: result.console_to]
    assert "Kernel panic" in result.console.read_text()


def test_a_guest_that_panics_is_kept_while_it_tells_why(kept, again):
    look, result = kept("panics")
    assert [raw.ended for raw in look.seen] == [Ended.PANIC]
    assert result.ended is Ended.PANIC
    with again("dead") as machine:
        begun = time.monotonic()
        while machine.child.poll() is None and time.monotonic() < begun + 20:
            machine.listen(0.05)
        assert machine.child.poll() == 0, "it panics on, and resets"
        assert "Kernel panic" not in machine.log.path.read_text(), "that was printed before"


def test_nobody_looks_at_a_case_unasked(ext4, tmp_path):
    with Machine(ext4, tmp_path / "console.log") as machine:
        machine.wait_ready()
        assert "held" not in machine.run_case(PROGRAM, "fails").events


def test_a_broken_state_is_no_guest(ext4, tmp_path):
    (tmp_path / "state").write_bytes(b"not a guest")
    options = dataclasses.replace(ext4, restore=True)
    with (
        pytest.raises(InfraError),
        snapshot.restored(options, tmp_path / "state", tmp_path / "log"),
    ):
        pass
