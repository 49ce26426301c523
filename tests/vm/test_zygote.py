"""A QEMU that is forked as it is. What its forks share with other guests is in test_snapshot.py."""

import contextlib
import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.guest import disks
from harness.machine import channel, snapshot
from harness.machine.command import Disk
from harness.machine.console import wait_for_prompt
from harness.machine.deadline import Deadline
from harness.machine.machine import Machine
from harness.machine.outcome import Ended
from harness.machine.zygote import zygote
from harness.runner.nursery import library

PROGRAM = "vm/guest_test"


@pytest.fixture
def nest(plain, cache, declared, tmp_path):
    """(options, a context in which a zygote stands): a guest of its own for each test, which may ruin it."""
    pristine = disks.make(declared, cache)
    options = dataclasses.replace(
        plain, disks=(Disk(disks.copy_sparse(pristine, tmp_path / "saved.img")),), filesystem="ext4"
    )
    options = dataclasses.replace(options, save=snapshot.new_memory(tmp_path, options))
    with Machine(options, tmp_path / "saved.log") as machine:
        machine.wait_ready()
        made = snapshot.save(machine, tmp_path)
    own = Disk(disks.copy_sparse(made.disks[0], tmp_path / "zygote.img"))
    return options, zygote(options, made, (own,), tmp_path / "zygote.log", library(cache))


@contextlib.contextmanager
def fork(options, parent, tmp_path, name="fork"):
    disk = Disk(disks.copy_sparse(parent.snapshot.disks[0], tmp_path / f"{name}.img"))
    with snapshot.fork(options, parent.snapshot, (disk,), tmp_path / f"{name}.log", parent.birth) as machine:
        yield machine


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}


def wait_gone(pid):
    deadline = Deadline(5)
    while Path(f"/proc/{pid}").exists() and not deadline.expired:
        time.sleep(0.01)
    return not Path(f"/proc/{pid}").exists()


def test_forks_leave_their_parent_as_it_was_and_nothing_of_themselves(nest, tmp_path):
    options, standing = nest
    with standing as parent:
        disk = parent.snapshot.disks[0].read_bytes()
        console = (tmp_path / "zygote.log").read_bytes()
        seen = []
        for _ in range(12):
            with fork(options, parent, tmp_path) as machine:
                pid = machine.child.pid
                assert machine.run_case(PROGRAM, "keeps_a_file").exit_code == 0
            assert wait_gone(pid)
            seen.append(len(list(Path("/proc/self/fd").iterdir())))
        assert len(set(seen)) == 1
        assert parent.snapshot.disks[0].read_bytes() == disk
        assert (tmp_path / "zygote.log").read_bytes() == console


def test_a_fork_has_the_threads_of_its_parent_and_may_start_no_program(nest, tmp_path):
    options, standing = nest
    with standing as parent, fork(options, parent, tmp_path) as machine:
        found = status(machine.child.pid)
        assert int(found["Threads"][0]) >= 4  # its first one, the main loop, the processor, the monitor
        assert found["NoNewPrivs"] == ["1"]
        assert int(found["Seccomp_filters"][0]) >= 3  # no programs, QEMU's own, no processes
        assert machine.run_case(PROGRAM, "passes").exit_code == 0


def test_a_fork_that_ends_tells_how(nest, tmp_path):
    options, standing = nest
    with standing as parent:
        with fork(options, parent, tmp_path) as machine:
            assert machine.run_case(PROGRAM, "panics", seconds=30).ended is Ended.PANIC
            assert machine.qemu_exit(Deadline(5)) == 0
        with fork(options, parent, tmp_path) as machine:
            os.kill(machine.child.pid, signal.SIGSEGV)
            result = machine.run_case(PROGRAM, "passes")
            assert (result.ended, machine.child.poll()) == (Ended.LOST, -signal.SIGSEGV)
            assert "signal 11" in result.detail
        with fork(options, parent, tmp_path) as machine:
            assert machine.run_case(PROGRAM, "passes").exit_code == 0


def test_forks_go_with_their_parent(nest, tmp_path):
    options, standing = nest
    with standing as parent:
        with fork(options, parent, tmp_path) as machine:
            pid = machine.child.pid
            parent.machine.child.kill()
            assert wait_gone(pid)
            assert machine.run_case(PROGRAM, "passes").ended is Ended.LOST
        with pytest.raises(InfraError, match="to be forked"), fork(options, parent, tmp_path):
            pass


def test_a_guest_that_does_not_survive_the_rehearsal_is_no_zygote(nest, tmp_path):
    _, standing = nest
    os.truncate(tmp_path / "zygote.img", 4096)  # its filesystem is gone, though it is mounted
    with pytest.raises(InfraError, match="rehears"), standing:
        pass


def test_a_fork_can_be_kept_as_its_case_left_it_and_opened_again(nest, tmp_path):
    options, standing = nest
    with standing as parent, fork(options, parent, tmp_path) as machine:

        def keep():
            snapshot.save_whole(machine, tmp_path / "state")
            disks.copy_sparse(machine.options.disks[0].path, tmp_path / "kept.img")

        result = machine.run_case(PROGRAM, "leaves_mounts", look=lambda raw: machine.standing_still(keep))
        assert (result.ended, result.unmount) == (Ended.DONE, "ok")
    kept = dataclasses.replace(options, save=None, disks=(Disk(tmp_path / "kept.img"),), restore=True, named=True)
    with snapshot.restored(kept, tmp_path / "state", tmp_path / "again.log") as machine:
        machine.send(channel.SHELL)
        wait_for_prompt(machine.console_socket)
        machine.console_socket.sendall(b"cat /proc/mounts\n")
        assert b"/mnt/below/deeper" in wait_for_prompt(machine.console_socket)
