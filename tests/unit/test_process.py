"""The one door to other programs: nothing outlives its context, its lab, or Ctrl-C; the sandbox holds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import process
from harness.errors import CommandError, InfraError
from harness.process import Sandbox

needs_sandbox = pytest.mark.skipif(not process.sandbox_works(), reason="bubblewrap cannot make namespaces here")


def gone(pid):
    """Whether a process ended (a zombie that nobody collected yet counts as ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_run_returns_both_streams():
    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


def test_a_failure_carries_command_code_and_output():
    with pytest.raises(CommandError, match=r"sh exited with 3:\nwhy") as raised:
        process.run(["sh", "-c", "echo why >&2; exit 3"])
    assert raised.value.returncode == 3


def test_a_missing_program_names_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    process.find.cache_clear()
    with pytest.raises(InfraError) as raised:
        process.run(["mkfs.f2fs-not-there"])
    process.find.cache_clear()
    assert "apt-get install" in raised.value.hint


def test_the_environment_is_minimal(monkeypatch):
    monkeypatch.setenv("CFLAGS", "-DSURPRISE")
    assert "CFLAGS" not in process.run(["env"]).stdout


def test_a_slow_program_is_ended():
    started = time.monotonic()
    with pytest.raises(InfraError, match=r"within 0\.2 s"):
        process.run(["sleep", "60"], timeout=0.2)
    assert time.monotonic() - started < 10


def test_leaving_the_context_ends_the_whole_group(tmp_path):
    note = tmp_path / "pid"
    with process.start(["sh", "-c", f"sleep 60 & echo $! >{note}; wait"]):
        wait_until(lambda: note.exists() and note.read_text())
    wait_until(lambda: gone(int(note.read_text())))


def test_lines_keeps_a_log_and_raises_at_the_end(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(CommandError):
        list(process.lines(["sh", "-c", "echo one; echo two >&2; exit 1"], log))
    assert log.read_text() == "one\ntwo\n"


@pytest.mark.parametrize("sandbox", ["None", pytest.param("Sandbox(writable=(here,))", marks=needs_sandbox)])
def test_children_die_with_a_lab_that_was_killed(tmp_path, sandbox):
    note, runs = tmp_path / "pid", tmp_path / "runs"
    program = (
        "from harness.process import start, Sandbox\n"
        "import pathlib, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        f"with start(['sh', '-c', 'touch {runs}; exec sleep 60'], sandbox={sandbox}) as child:\n"
        f"    pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "    time.sleep(60)\n"
    )
    lab = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    # What guards a child has to be on before it can be relied on: then the child runs.
    wait_until(lambda: runs.exists() and note.exists() and note.read_text(), 10)
    lab.kill()
    lab.wait()
    wait_until(lambda: gone(int(note.read_text())))


def test_a_child_whose_lab_died_before_it_could_be_told_ends_itself(tmp_path):
    made = tmp_path / "made"
    *guard, pid = process._guard([], None, -1)
    assert pid == str(os.getpid())
    for parent, ran in ((pid, True), ("1", False)):
        subprocess.run([*guard, parent, "touch", made], check=False)
        assert made.exists() is ran
        made.unlink(missing_ok=True)


@needs_sandbox
def test_a_child_in_a_sandbox_whose_lab_has_let_go_ends_itself(tmp_path):
    made = tmp_path / "made"
    for holds in (True, False):
        leash_end, leash = os.pipe()
        if not holds:
            os.close(leash)
        guard = process._guard(["touch", str(made)], Sandbox(writable=(tmp_path,)), leash_end)
        subprocess.run(guard, check=False, pass_fds=(leash_end,))
        assert made.exists() is holds
        made.unlink(missing_ok=True)


@needs_sandbox
def test_the_sandbox_hides_homes_and_keeps_the_system_read_only(tmp_path):
    secret = Path.home() / ".lab-sandbox-test"
    secret.write_text("secret")
    try:
        inside = tmp_path / "work"
        inside.mkdir()
        script = f"cat {secret}; touch /usr/written /etc/written; echo fine >{inside}/made; ls -A /tmp"
        done = process.run(["sh", "-c", script], sandbox=Sandbox(writable=(inside,)), check=False)
    finally:
        secret.unlink()
    assert "secret" not in done.stdout
    assert (inside / "made").read_text() == "fine\n"
    assert not Path("/usr/written").exists()
    assert done.stderr.count("Read-only file system") == 2


@needs_sandbox
def test_the_sandbox_has_no_network():
    program = "import socket; socket.create_connection(('127.0.0.1', 9), 2)"
    done = process.run([sys.executable, "-c", program], sandbox=Sandbox(readable=(Path(sys.prefix),)), check=False)
    assert done.returncode != 0


def test_kill_all_ends_what_runs():
    with process.start(["sleep", "60"]) as child:
        process.kill_all()
        assert child.wait(5) < 0
    assert not os.path.exists(f"/proc/{child.pid}")  # noqa: PTH110
