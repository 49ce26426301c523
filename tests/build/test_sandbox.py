"""A patch's Makefile is a stranger's program: what it cannot do on the host that builds it."""

import os
import socket
from pathlib import Path

import pytest

from harness import process
from harness.errors import LabError

pytestmark = pytest.mark.skipif(
    not process.sandbox_works(), reason="bubblewrap cannot make namespaces on this host, so builds run without it"
)


def hostile(toy, recipe):
    """A series whose vmlinux rule runs ``recipe`` first; ``-`` lets it fail."""
    lines = "".join(f"\t-@{line}\n" for line in recipe)
    toy.patch(1, "toy: hostile", {"Makefile": ("\t@echo '  LD      $@'\n", f"{lines}\t@echo '  LD      $@'\n")})
    return toy.build("core")


def test_it_writes_nowhere_but_in_the_build(toy, tmp_path):
    targets = [
        tmp_path / "outside",
        toy.root / "workspace",
        toy.cache.root / "kernels" / "planted",
        Path("/etc/planted"),
    ]
    kernel = hostile(
        toy, [f"echo owned > {path}" for path in targets] + ["echo owned > ../fs/namei.c", "touch ../planted"]
    )
    assert not any(path.exists() for path in targets)
    [tree] = (toy.cache.root / "trees").glob("*/linux")
    assert "toy_link" in (tree / "fs" / "namei.c").read_text()
    assert not (tree / "planted").exists()
    assert "Read-only file system" in kernel.log.read_text()


def test_what_is_read_only_stays_so_even_where_root_builds(toy, tmp_path):
    kernel = hostile(
        toy,
        [
            "mount -o remount,bind,rw / && echo remounted",
            "mount -t tmpfs none /mnt && echo mounted",
            "mknod build/disk b 254 0 && echo a disk of the host",
            f"touch {tmp_path}/outside /etc/planted",
            "grep CapEff /proc/self/status",
        ],
    )
    log = kernel.log.read_text()
    assert "CapEff:\t0000000000000000" in log
    assert not any(word in log for word in ("remounted", "mounted", "a disk of the host"))
    assert not Path("/etc/planted").exists()


def test_it_reads_no_home_and_sees_no_secret_of_the_environment(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_TEST_SECRET", "the-secret-word")
    (tmp_path / "key").write_text("the-secret-word")
    kernel = hostile(
        toy, [f"cat {tmp_path}/key", "env", f"ls -A {Path.home()} && echo found: `ls -A {Path.home()} | wc -l`"]
    )
    log = kernel.log.read_text()
    assert "the-secret-word" not in log
    assert "HOME=" not in log
    assert "found: 0" in log


def test_it_opens_no_connection_even_to_this_host(toy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        kernel = hostile(toy, [f"bash -c 'echo hello > /dev/tcp/127.0.0.1/{port} && echo connected'"])
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert "connected" not in kernel.log.read_text()
    assert "Connection refused" in kernel.log.read_text()


def test_it_signals_no_process_of_the_host(toy):
    kernel = hostile(toy, [f"kill -0 {os.getpid()} && echo reached"])
    assert "reached" not in kernel.log.read_text()


@pytest.mark.parametrize("artefact", ["System.map", "vmlinux", ".config", "include/config/kernel.release"])
def test_a_link_in_the_build_leads_the_lab_nowhere(toy, tmp_path, artefact):
    secret = tmp_path / "secret"
    secret.write_text("the-secret-word")
    last = "\t@echo $(VERSION)"
    link = f"\t@ln -sf {secret} {artefact}\n"
    text = f"{link}{last}" if artefact != "include/config/kernel.release" else f"\t@true\n{link}{last}"
    toy.patch(1, "toy: link", {"Makefile": (last, text)})
    with pytest.raises(LabError) as caught:
        toy.build("core")
    assert "the-secret-word" not in caught.value.message
    assert secret.read_text() == "the-secret-word"
    assert not any("the-secret-word" in path.read_text(errors="replace") for path in toy.cache.root.glob("kernels/*/*"))


def test_a_link_in_place_of_the_configuration_is_not_written_through(toy, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("as it was\n")
    toy.build()
    [config] = (toy.cache.root / "trees").glob("*/linux/build/.config")
    config.unlink()
    config.symlink_to(victim)
    toy.build(options=["CONFIG_TOY_ABSENT"])
    assert victim.read_text() == "as it was\n"
