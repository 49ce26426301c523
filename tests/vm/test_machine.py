"""Real guests, good and bad: each must end as what it is, soon, and leave no QEMU behind."""

import contextlib
import dataclasses
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from harness import process
from harness.errors import InfraError
from harness.guest import disks
from harness.machine import channel
from harness.machine.command import Disk
from harness.machine.console import wait_for_prompt
from harness.machine.deadline import Deadline
from harness.machine.machine import Machine, boot_and_run
from harness.machine.outcome import BootError, Ended

PROGRAM = "vm/guest_test"


@pytest.fixture
def run(ext4, tmp_path):
    def run(test, seconds=5, options=ext4):
        return boot_and_run(options, tmp_path / "console.log", PROGRAM, test, seconds)

    return run


def own_console(result):
    return result.console.read_bytes()[result.console_from : result.console_to].decode(errors="replace")


def qemus():
    """Process ids of every QEMU whose parent chain leads here, by its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words and words[0].endswith(b"qemu-system-x86_64"):
                found.append((int(entry.name), words))
    return found


def qemu_of(disk):
    return [pid for pid, words in qemus() if any(str(disk).encode() in word for word in words)]


def test_a_case_that_passes(run, ext4, declared):
    result = run("passes")
    assert (result.ended, result.exit_code, result.unmount, result.left) == (Ended.DONE, 0, "ok", ())
    assert "ok 1 global.passes" in result.ktap
    assert own_console(result).splitlines()[0].endswith("lab: case begins: vm/guest_test passes")
    assert disks.check(declared, ext4.disks[0].path).clean


def test_a_case_that_fails_says_where(run):
    result = run("fails")
    assert (result.ended, result.exit_code) == (Ended.DONE, 1)
    assert re.search(r"guest_test\.c:\d+:fails:Expected 1 \(1\) == 2 \(2\)", result.ktap)


def test_what_a_case_writes_is_on_the_disk_when_it_is_done(run, ext4):
    assert run("keeps_a_file").unmount == "ok"
    image = ext4.disks[0].path.read_bytes()
    assert b"kept" in image


def test_only_the_named_test_runs(run):
    assert "1..1" in run("passes").ktap


def test_a_test_can_be_named_with_its_fixture(run):
    assert "ok 1 global.passes" in run("global.passes").ktap


def test_a_program_that_is_not_there(ext4, tmp_path):
    result = boot_and_run(ext4, tmp_path / "console.log", "vm/no_such_test", "x")
    assert (result.ended, result.exit_code) == (Ended.DONE, 127)


def test_a_loop_in_user_space_is_a_timeout_with_all_tasks_on_the_console(run):
    result = run("loops", seconds=1)
    assert result.ended is Ended.TIMEOUT
    assert result.exit_code is None
    assert result.unmount == "ok"
    assert "guest_test" in own_console(result).split("sysrq: Show State", 1)[1]


def test_output_cannot_forge_the_agent(run):
    result = run("forges_frames")
    assert (result.ended, result.exit_code) == (Ended.DONE, 1)
    assert "\ndone\nexit 0\nhello 1 forged\n" in result.ktap


def test_a_flood_of_output_is_kept_to_a_size(run):
    result = run("floods", seconds=20)
    assert (result.ended, result.exit_code) == (Ended.DONE, 0)
    assert 4_000_000 < len(result.ktap) < 5_000_000
    assert "more output was not kept" in result.ktap


def test_a_task_left_behind_is_ended_and_told(run, ext4, declared):
    result = run("leaves_a_task")
    assert (result.ended, result.exit_code, result.unmount) == (Ended.DONE, 0, "ok")
    assert result.left == ("tasks 1",)
    assert disks.check(declared, ext4.disks[0].path).clean


def test_mounts_left_behind_are_undone_and_told(run):
    result = run("leaves_mounts")
    assert result.unmount == "ok"
    assert result.left == ("mount /mnt/below/deeper", "mount /mnt/below")


def test_a_filesystem_that_stays_in_use_is_told(run):
    result = run("leaves_it_frozen")
    assert (result.ended, result.exit_code, result.unmount) == (Ended.DONE, 0, "EBUSY")


def test_a_warning_does_not_end_the_case(run):
    result = run("warns")
    assert (result.ended, result.exit_code) == (Ended.DONE, 0)
    assert "WARNING: CPU: 0 PID:" in own_console(result)


def test_an_oops_does_not_end_the_guest(run):
    result = run("oopses")
    assert (result.ended, result.exit_code) == (Ended.DONE, 1)
    assert "BUG: kernel NULL pointer dereference" in own_console(result)


def test_an_oops_shortens_the_wait(run):
    result = run("oopses_and_stays", seconds=60)
    assert result.ended is Ended.HANG
    assert "NULL pointer" in result.detail
    assert result.seconds < 10


@pytest.fixture
def busy_processor():
    """A processor on which some programs do nothing, as fast as they can."""
    first = min(os.sched_getaffinity(0))
    with contextlib.ExitStack() as hogs:
        for _ in range(4):
            hog = hogs.enter_context(process.start(["sh", "-c", "while :; do :; done"]))
            for pid in process.family(hog.pid):
                os.sched_setaffinity(pid, {first})
        yield first


@pytest.mark.parametrize(("told", "ended"), [(True, Ended.DONE), (False, Ended.HANG)])
def test_a_host_that_does_not_run_the_guest_is_not_the_guests_fault(
    ext4, tmp_path, busy_processor, monkeypatch, told, ended
):
    if not told:
        monkeypatch.setattr(process, "starved", lambda pid: {})
    with Machine(ext4, tmp_path / "console.log") as machine:
        machine.wait_ready(Deadline(120))
        for pid in process.family(machine.child.pid):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {busy_processor})
                os.setpriority(os.PRIO_PROCESS, int(thread.name), 10)
        assert machine.run_case(PROGRAM, "passes", seconds=60, silence=1.0).ended is ended


def test_a_panic_ends_the_case_at_once(run):
    result = run("panics", seconds=60)
    assert result.ended is Ended.PANIC
    assert result.detail.endswith("Kernel panic - not syncing: sysrq triggered crash")
    assert result.seconds < 5
    assert "write_sysrq_trigger" in own_console(result)


def test_a_silent_guest_is_a_hang_and_says_where_it_is_stuck(run):
    result = run("spins_in_the_kernel", seconds=60)
    assert result.ended is Ended.HANG
    assert result.seconds < 20
    rest = result.console.read_text(errors="replace")
    assert "lkdtm_HARDLOCKUP" in rest
    assert "panic" not in own_console(result), "the panic is the host's doing, not the case's"


def test_a_guest_that_still_takes_interrupts_lists_its_blocked_tasks(run):
    result = run("spins_with_interrupts", seconds=60)
    assert result.ended is Ended.HANG
    assert "Show Blocked State" in result.console.read_text(errors="replace")


def test_a_reset_without_a_panic_is_told_apart(run):
    result = run("resets")
    assert (result.ended, result.detail) == (Ended.LOST, "the guest reset itself without a panic")


def test_a_qemu_killed_from_outside(ext4, tmp_path):
    with Machine(ext4, tmp_path / "console.log") as machine:
        machine.wait_ready()
        pids = qemu_of(ext4.disks[0].path)
        assert pids
        killer = threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids if alive(pid)])
        killer.start()
        result = machine.run_case(PROGRAM, "loops", seconds=60)
    assert result.ended is Ended.LOST
    assert "signal 9" in result.detail
    assert result.seconds < 5


def alive(pid):
    return Path(f"/proc/{pid}").exists()


def test_a_guest_that_never_is_ready(build, plain, tmp_path):
    agent = tmp_path / "mute.c"
    agent.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    mute = dataclasses.replace(plain, initramfs=build(agent))
    with pytest.raises(BootError, match="never was ready"), Machine(mute, tmp_path / "console.log") as machine:
        machine.wait_ready(Deadline(4))
    assert "Run /init" in (tmp_path / "console.log").read_text()


def test_an_init_that_ends_is_no_boot_with_the_panic_as_reason(build, plain, tmp_path):
    agent = tmp_path / "brief.c"
    agent.write_text("int main(void) { return 3; }\n")
    brief = dataclasses.replace(plain, initramfs=build(agent))
    result = boot_and_run(brief, tmp_path / "console.log", PROGRAM, "passes")
    assert result.ended is Ended.NO_BOOT
    assert "Attempted to kill init" in result.detail


def test_a_filesystem_that_cannot_be_mounted_is_no_boot(plain, tmp_path):
    blank = tmp_path / "blank.img"
    blank.write_bytes(bytes(1 << 20))
    options = dataclasses.replace(plain, disks=(Disk(blank),), filesystem="ext4")
    result = boot_and_run(options, tmp_path / "console.log", PROGRAM, "passes")
    assert result.ended is Ended.NO_BOOT
    assert "cannot mount ext4: EINVAL" in result.detail


def test_a_disk_that_is_missing_is_the_hosts_fault(plain, tmp_path):
    options = dataclasses.replace(plain, disks=(Disk(tmp_path / "none.img"),), filesystem="ext4")
    with pytest.raises(InfraError, match=r"none\.img"):
        boot_and_run(options, tmp_path / "console.log", PROGRAM, "passes", sandbox=False)


def test_a_guest_without_a_disk(plain, tmp_path):
    result = boot_and_run(plain, tmp_path / "console.log", PROGRAM, "passes")
    assert (result.ended, result.exit_code) == (Ended.DONE, 0)


def test_tmpfs_needs_no_disk(plain, tmp_path):
    options = dataclasses.replace(plain, filesystem="tmpfs", mount="size=4m,noatime")
    result = boot_and_run(options, tmp_path / "console.log", PROGRAM, "passes")
    assert (result.ended, result.exit_code, result.unmount) == (Ended.DONE, 0, "ok")


def test_two_processors(ext4, tmp_path):
    result = boot_and_run(dataclasses.replace(ext4, cpus=2), tmp_path / "console.log", PROGRAM, "passes")
    assert result.exit_code == 0
    assert "2 CPUs" in result.console.read_text()


def test_a_case_named_on_the_command_line(ext4, tmp_path):
    options = dataclasses.replace(ext4, extra=(channel.parameter(PROGRAM, "passes", 5),))
    with Machine(options, tmp_path / "console.log") as machine:
        machine.wait_ready()
        result = machine.follow_case(5)
    assert (result.ended, result.exit_code) == (Ended.DONE, 0)


def test_the_tests_of_a_program(plain, tmp_path):
    with Machine(plain, tmp_path / "console.log") as machine:
        machine.wait_ready()
        assert "passes" in machine.list_tests(PROGRAM)


def test_one_guest_can_run_one_case_after_another(ext4, tmp_path):
    with Machine(ext4, tmp_path / "console.log") as machine:
        machine.wait_ready()
        for _ in range(3):
            assert machine.run_case(PROGRAM, "passes").exit_code == 0


def test_guests_in_parallel_threads(plain, tmp_path):
    results = {}

    def one(number):
        results[number] = boot_and_run(plain, tmp_path / f"console{number}.log", PROGRAM, "passes")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number].exit_code for number in range(4)] == [0] * 4


@pytest.mark.parametrize("exception", [KeyboardInterrupt, RuntimeError])
def test_leaving_stops_qemu(ext4, tmp_path, exception):
    def leave():
        with Machine(ext4, tmp_path / "console.log") as machine:
            machine.wait_ready()
            assert qemu_of(ext4.disks[0].path)
            raise exception

    with pytest.raises(exception):
        leave()
    assert not qemu_of(ext4.disks[0].path)


def test_the_console_has_a_shell(ext4, tmp_path):
    with Machine(ext4, tmp_path / "console.log") as machine:
        machine.wait_ready()
        machine.send(channel.SHELL)
        wait_for_prompt(machine.console_socket)
        machine.console_socket.sendall(b"echo $((6 * 7)); pwd; tty\n")
        said = wait_for_prompt(machine.console_socket)
    assert b"42\r\n/mnt\r\n/dev/ttyS0\r\n" in said


def test_no_listener_is_opened(ext4, tmp_path):
    with Machine(ext4, tmp_path / "console.log") as machine:
        machine.wait_ready()
        for pid in qemu_of(ext4.disks[0].path):
            sockets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
            inodes = {found.group(1) for name in sockets if (found := re.match(r"socket:\[(\d+)\]", name))}
            for table in ("tcp", "tcp6", "udp", "udp6"):
                rows = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
                assert not inodes & {row.split()[9] for row in rows}


def test_nothing_leaks(ext4, tmp_path):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(3):
        with Machine(ext4, tmp_path / "console.log") as machine:
            machine.wait_ready()
    assert descriptors() == before
    deadline = time.monotonic() + 1
    while qemu_of(ext4.disks[0].path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not qemu_of(ext4.disks[0].path)
