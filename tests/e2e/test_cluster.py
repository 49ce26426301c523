"""The same night on hosts: a real scheduler, real workers, a real sshd, all on loopback; and a host that dies."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import until
from .test_nightly import QUICK, change, night, rows, summary

pytest.importorskip("distributed")
pytestmark = [pytest.mark.vm, pytest.mark.build]

__all__ = ["night"]


@contextlib.contextmanager
def started(argv, log, **environment):
    """A process of its own group while the context lasts."""
    with log.open("w") as sink:
        process = subprocess.Popen(
            argv, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True, env=os.environ | environment
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler that does not know the lab."""
    told = tmp_path / "scheduler.json"
    argv = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    with started([*argv, "--no-dashboard", "--scheduler-file", told], tmp_path / "scheduler.log", PYTHONPATH=""):
        until(told.exists, 120)
        yield json.loads(told.read_text())["address"]


@pytest.fixture
def workers(night, scheduler, tmp_path):
    """Two hosts, each with a cache of its own: what they need has to travel."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("hither", "yon"):
            environment = night.environment(LAB_CACHE=str(tmp_path / f"cache-{name}"))
            argv = [sys.executable, "-m", "harness", "worker", scheduler, "--name", name, "--cores", "1", "--no-build"]
            found.append(stack.enter_context(started(argv, tmp_path / f"{name}.log", **environment)))
        yield found


def told_of(night):
    """What the memory has of the night: each job's attempts, and what became of each case."""
    jobs = rows(night, "SELECT job, attempt, COUNT(*) FROM run GROUP BY job, attempt ORDER BY job, attempt")
    verdicts = rows(
        night,
        "SELECT job, attempt, case_name, kind, met FROM outcome JOIN run ON run.id = run_id ORDER BY 1, 2, 3",
    )
    return jobs, verdicts


def test_the_same_verdicts_as_on_one_machine(night, scheduler, workers, tmp_path):
    change(night, 'title = "a test that passes"', 'title = "t"\nexpect.base = { status = "FAIL" }')
    alone = night.run("nightly")
    assert alone.returncode == 1, alone.stdout + alone.stderr
    of_one = told_of(night)
    shutil.rmtree(night.workspace / "results")
    done = night.run("nightly", "--cluster", scheduler)
    assert done.returncode == 1, done.stdout + done.stderr
    assert told_of(night) == of_one
    assert summary(night)[1]["counts"] == {"failed": 1, "met": len(QUICK) - 1}
    hosts = {host for (host,) in rows(night, "SELECT host FROM environment")}
    assert hosts == {"hither", "yon"}, "both had something to do"
    for name in ("hither", "yon"):
        kernels = [path for path in (tmp_path / f"cache-{name}" / "kernels").iterdir() if path.is_dir()]
        assert len(kernels) == 1, "a kernel came, whole"
        assert not (tmp_path / f"cache-{name}" / "sources").exists(), "and nobody needed its source"
    for folder in night.runs():
        assert (folder / "result.json").exists()
        assert (folder / "cases" / "base" / "pass" / "console.log").exists()


def test_a_host_that_dies_in_the_middle_loses_nothing_and_counts_nothing_twice(night, scheduler, workers):
    (night.workspace / "nightly.toml").write_text('repeat = 6\n[matrix]\nsuites = ["selftest"]\n')
    lab = night.start("nightly", "--cluster", scheduler)
    reports = night.workspace / "results" / "nightly"
    until(lambda: sum(path.read_text().count("\n") for path in reports.glob("*/reports.jsonl")) >= 2, 300)
    os.killpg(workers[0].pid, signal.SIGKILL)
    out, _ = lab.communicate(timeout=600)
    assert lab.returncode == 0, out
    assert "hither was lost: what it had begun was run elsewhere" in out
    jobs, verdicts = told_of(night)
    assert [count for _, _, count in jobs] == [1] * 6
    assert len(verdicts) == 6 * len(QUICK)
    assert summary(night)[1]["counts"] == {"met": len(QUICK)}


def rows_of(night):
    """How many nights the memory knows: one from the moment that jobs may begin."""
    with contextlib.suppress(sqlite3.OperationalError):
        return rows(night, "SELECT COUNT(*) FROM nightly")[0][0]
    return 0


def test_no_host_is_left(night, scheduler, workers):
    lab = night.start("nightly", "--cluster", scheduler)
    until(lambda: rows_of(night) > 0, 300)
    for worker in workers:
        os.killpg(worker.pid, signal.SIGKILL)
    out, _ = lab.communicate(timeout=120)
    assert lab.returncode == 4, out
    assert "no host of the cluster is left" in out
    assert night.run("nightly", "--resume").returncode == 0


def test_a_scheduler_that_is_not_there(night):
    done = night.run("nightly", "--cluster", "tcp://127.0.0.1:1")
    assert done.returncode == 4
    assert "no scheduler answers" in done.stderr


@pytest.fixture
def sshd(tmp_path):
    """An sshd of one's own on loopback; the port, the client's key, known_hosts."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("openssh-server is not installed")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nPidFile {tmp_path}/pid\nHostKey {tmp_path}/host\n"
        f"AuthorizedKeysFile {tmp_path}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    key = (tmp_path / "host.pub").read_text().split()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    with started([program, "-D", "-e", "-f", tmp_path / "sshd_config"], tmp_path / "sshd.log"):
        until(lambda: _answers(port), 30)
        yield port


def _answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def hosts_file(night, tmp_path, port, known="known_hosts"):
    from harness.paths import cache_root

    path = tmp_path / "hosts.toml"
    path.write_text(
        f'listen = "127.0.0.1"\nknown_hosts = "{tmp_path}/{known}"\n'
        f'[hosts.near]\naddress = "127.0.0.1"\nport = {port}\nkey = "{tmp_path}/user"\ncores = 2\nbuilds = false\n'
        f'cache = "{cache_root()}"\n'
    )
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="sshd of one's own lets in its own user alone; root is the simple case")
def test_hosts_over_ssh(night, sshd, tmp_path):
    done = night.run("nightly", "--cluster", str(hosts_file(night, tmp_path, sshd)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {host for (host,) in rows(night, "SELECT host FROM environment")} == {"near"}
    assert summary(night)[1]["counts"] == {"met": len(QUICK)}
    time.sleep(1)
    assert not workers_left(), "a worker ends with its connection"


def workers_left():
    listing = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if "harness worker tls://" in line and "--name near" in line]


def test_a_host_that_is_not_known_is_not_talked_to(night, sshd, tmp_path):
    (tmp_path / "nobody").write_text("")
    done = night.run("nightly", "--cluster", str(hosts_file(night, tmp_path, sshd, "nobody")))
    assert done.returncode == 4
    assert "no host can be used" in done.stderr
    assert "known_hosts" in done.stderr
