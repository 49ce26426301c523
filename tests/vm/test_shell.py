"""The console in a person's hands: a real terminal around a real guest's shell."""

import sys
from pathlib import Path

import pexpect

BY_HAND = """
from pathlib import Path
from harness.machine.command import Options
from harness.machine.machine import Machine
with Machine(Options(Path({kernel!r}), Path({initramfs!r}), tsc_khz={tsc}), Path({log!r})) as machine:
    machine.wait_ready()
    machine.shell()
print("left the guest")
"""


def by_hand(plain, log):
    code = BY_HAND.format(kernel=str(plain.kernel), initramfs=str(plain.initramfs), tsc=plain.tsc_khz, log=str(log))
    root = Path(__file__).resolve().parents[2]
    return pexpect.spawn(sys.executable, ["-c", code], cwd=root, timeout=60)


def test_a_person_types_and_leaves(plain, tmp_path):
    person = by_hand(plain, tmp_path / "console.log")
    person.expect_exact("lab:/mnt# ")
    person.sendline("echo $((6 * 7)) > /tmp/answer; cat /tmp/answer")
    person.expect("\r\n42\r\n")
    person.send("\x1d")
    person.expect_exact("left the guest")
    person.expect(pexpect.EOF)
    assert "42" in (tmp_path / "console.log").read_text()


def test_ctrl_c_goes_to_the_guest(plain, tmp_path):
    person = by_hand(plain, tmp_path / "console.log")
    person.expect_exact("lab:/mnt# ")
    # The shell drops what is typed while it starts a command: wait for the command's own word.
    person.sendline("sh -c 'echo run''ning; exec sleep 1000'")
    person.expect_exact("running")
    person.sendintr()
    person.expect_exact("lab:/mnt# ")
    person.sendline("echo status $?")
    person.expect_exact("status 130")
    person.send("\x1d")
    person.expect_exact("left the guest")


def test_a_guest_that_ends_ends_the_session(plain, tmp_path):
    person = by_hand(plain, tmp_path / "console.log")
    person.expect_exact("lab:/mnt# ")
    person.sendline("reboot -f")
    person.expect_exact("left the guest")
