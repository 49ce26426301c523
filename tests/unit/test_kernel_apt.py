"""A base from a Debian package, asked of a real apt: its lists are new, old, or not there, and the archive is local."""

import gzip
import hashlib
import os
import subprocess
import tarfile

import pytest

from harness import process
from harness.cache import Cache
from harness.catalogue.model import Base
from harness.errors import InfraError
from harness.kernel import apt
from harness.kernel.source import fetch

PACKAGE = "linux-source-toy"
BASE = Base(title="t", package=PACKAGE)

pytestmark = pytest.mark.skipif(not apt.here(), reason="this host has no apt")


class Machine:
    """What apt sees: an archive of one package, and the lists that were fetched from it so far."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.archive = folder / "archive"
        self.archive.mkdir()
        for each in ("state/lists/partial", "cache/archives/partial"):
            (folder / each).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [trusted=yes] copy:{self.archive} ./\n")
        (folder / "apt.conf").write_text(
            f'Dir::State::Lists "{folder}/state/lists";\nDir::Cache "{folder}/cache";\n'
            f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))

    def publish(self, version):
        """The archive's one package, from now on in this version."""
        for old in self.archive.glob("*.deb"):
            old.unlink()
        tree = self.folder / f"tree-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr/src").mkdir(parents=True)
        control = (
            f"Package: {PACKAGE}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@y>\nDescription: a toy\n"
        )
        (tree / "DEBIAN/control").write_text(control)
        source = self.folder / "linux"
        source.mkdir(exist_ok=True)
        (source / "Makefile").write_text(f"VERSION = {version}\nPATCHLEVEL = 0\n")
        with tarfile.open(tree / f"usr/src/{PACKAGE}.tar.xz", "w:xz") as tar:
            tar.add(source, "linux")
        deb = self.archive / f"{PACKAGE}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "-b", tree, deb], check=True, capture_output=True)
        sum_ = hashlib.sha256(deb.read_bytes()).hexdigest()
        index = f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sum_}\n"
        (self.archive / "Packages.gz").write_bytes(gzip.compress(index.encode()))

    def update(self):
        """What an administrator does from time to time."""
        subprocess.run(["apt-get", "update"], check=True, capture_output=True, env=dict(os.environ))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def cache(tmp_path):
    made = Cache(tmp_path / "lab")
    made.root.mkdir()
    return made


def test_what_the_lists_have_is_taken_without_new_ones(machine, cache, monkeypatch):
    machine.publish("7")
    machine.update()
    monkeypatch.setattr(apt, "fresh", None)
    assert fetch("toy", BASE, cache).record.package_version == "7"


def test_a_machine_without_lists(machine, cache):
    machine.publish("7")
    before = sorted(machine.folder.glob("state/lists/*"))
    assert fetch("toy", BASE, cache).record.package_version == "7"
    assert sorted(machine.folder.glob("state/lists/*")) == before, "the machine's own lists are left alone"
    assert not list(cache.root.glob(".fetch.*"))


def test_lists_that_name_what_the_archive_has_no_more(machine, cache):
    machine.publish("7")
    machine.update()
    machine.publish("8")
    steps = []
    source = fetch("toy", BASE, cache, steps.append)
    assert source.record.package_version == "8"
    assert any("update" in step.note for step in steps)


def test_a_refresh_does_not_go_by_old_lists(machine, cache):
    machine.publish("7")
    machine.update()
    fetch("toy", BASE, cache)
    machine.publish("8")
    deb = machine.archive / f"{PACKAGE}_7_all.deb"
    subprocess.run(["dpkg-deb", "-b", machine.folder / "tree-7", deb], check=True, capture_output=True)
    assert fetch("toy", BASE, cache, refresh=True).record.package_version == "8"


def test_a_package_that_nobody_has(machine, cache):
    machine.publish("7")
    with pytest.raises(InfraError) as raised:
        fetch("toy", Base(title="t", package="linux-source-none"), cache)
    assert "the machine's lists have no such package" in raised.value.message
    assert "lists fetched now have no such package" in raised.value.message


def test_no_network(machine, cache):
    (machine.folder / "sources.list").write_text("deb [trusted=yes] http://127.0.0.1:9/debian ./\n")
    with pytest.raises(InfraError, match=r"is there a network\? \(.*127\.0\.0\.1") as raised:
        fetch("toy", BASE, cache)
    assert "tarball" in raised.value.hint


def test_no_apt(cache, monkeypatch):
    monkeypatch.setattr(process, "find", lambda program: None)
    with pytest.raises(InfraError, match="this host has no apt"):
        fetch("toy", BASE, cache)
