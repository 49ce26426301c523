"""What travels arrives as it was, or not at all."""

import io
import tarfile

import pytest

from harness.catalogue.hosts import load_hosts
from harness.errors import DeclarationError, InfraError
from harness.nightly.cluster import parcel


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "vmlinux").write_bytes(b"\0" * 100_000)
    (tmp_path / "from" / "deep" / "script").write_text("#!/bin/sh\n")
    (tmp_path / "from" / "deep" / "script").chmod(0o755)
    (tmp_path / "from" / ".lock").write_text("")
    return tmp_path / "from"


def test_there_and_back(folder, tmp_path):
    data = parcel.pack(folder, leave=(".lock",))
    parcel.unpack(data, tmp_path / "to", parcel.seal(data))
    names = sorted(str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*") if path.is_file())
    assert names == ["deep/script", "vmlinux"]
    assert (tmp_path / "to" / "deep" / "script").stat().st_mode & 0o111
    assert (tmp_path / "to" / "vmlinux").read_bytes() == (folder / "vmlinux").read_bytes()


def test_the_same_folder_has_the_same_bytes(folder):
    before = parcel.pack(folder)
    for path in folder.rglob("*"):
        path.touch()
    assert parcel.pack(folder) == before


def test_what_stays_behind_is_told_by_its_name_below_the_folder(tmp_path):
    root = tmp_path / "__pycache__" / "lab"
    (root / "harness" / "__pycache__").mkdir(parents=True)
    (root / "harness" / "a.py").write_text("")
    (root / "harness" / "__pycache__" / "a.pyc").write_text("")
    parcel.unpack(parcel.pack(root, leave=("__pycache__",)), tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").rglob("*") if path.is_file()] == ["a.py"]


def test_what_was_changed_on_the_way_is_refused(folder, tmp_path):
    data = parcel.pack(folder)
    with pytest.raises(InfraError, match="arrived damaged"):
        parcel.unpack(data, tmp_path / "to", "0" * 64)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "deep/../../outside"])
def test_nothing_is_written_outside(tmp_path, name):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(InfraError, match="no file below its folder"):
        parcel.unpack(sink.getvalue(), tmp_path / "to")


def test_a_link_is_refused(tmp_path):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(InfraError, match="no file below its folder"):
        parcel.unpack(sink.getvalue(), tmp_path / "to")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hosts.a]\naddress = 'a'\nport = 0\n", "is no port"),
        ("[hosts.a]\nadress = 'a'\n", "unknown key 'adress'"),
        ("[hosts]\n", "no host is declared"),
        ("[hosts.a]\naddress = 'a'\ncores = -1\n", "must not be negative"),
    ],
)
def test_hosts_are_declared_strictly(tmp_path, text, message):
    (tmp_path / "hosts.toml").write_text(text)
    with pytest.raises(DeclarationError, match=message):
        load_hosts(tmp_path / "hosts.toml")
