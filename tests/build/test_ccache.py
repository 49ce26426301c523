"""ccache as make calls it: no file is preprocessed for nothing, and no old object comes back."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cache import Cache
from harness.kernel import ccache

pytestmark = pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")


@dataclass(frozen=True)
class Compiled:
    """What gcc was called for, the object's bytes (none: it failed), what was said."""

    calls: list[str]
    made: bytes
    said: str


KERNEL = ("-nostdinc", "-Wp,-MMD,it.d")
"""How kbuild compiles C of the kernel."""


@pytest.fixture
def compile_in(tmp_path, monkeypatch):
    """Compile in a folder as make would."""
    monkeypatch.delenv("CCACHE_DIR", raising=False)
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "gcc").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\nexec {shutil.which("gcc")} "$@"\n')
    (spy / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    means = ccache.means(Cache(tmp_path / "cache"))
    calls = tmp_path / "calls"

    def run(folder: Path, source: str, *flags: str) -> Compiled:
        calls.write_text("")
        argv = ["ccache", "gcc", *flags, "-c", "-o", "it.o", source]
        done = subprocess.run(argv, cwd=folder, env={**os.environ, **means.env}, capture_output=True, text=True)
        made = (folder / "it.o").read_bytes() if done.returncode == 0 else b""
        return Compiled(calls.read_text().splitlines(), made, done.stderr)

    return run


def folder_with(tmp_path: Path, name: str, **files: str) -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)
    return folder


def test_a_new_object_takes_one_run_of_the_compiler_and_a_known_one_none(compile_in, tmp_path):
    one, two = (
        folder_with(tmp_path, name, it_c='#include "it.h"\nint a = A;\n', it_h="#define A 1\n") for name in "xy"
    )
    first = compile_in(one, "it.c", *KERNEL)
    assert len(first.calls) == 1
    assert compile_in(two, "it.c", *KERNEL) == Compiled([], first.made, ""), "another work tree has the same object"
    assert (two / "it.d").read_text() == (one / "it.d").read_text()


def test_a_header_that_changed_makes_another_object_and_coming_back_to_it_none(compile_in, tmp_path):
    folder = folder_with(tmp_path, "x", it_c='#include "it.h"\nint a = A;\n', it_h="#define A 1\n")
    old = compile_in(folder, "it.c", *KERNEL)
    folder_with(tmp_path, "x", it_h="#define A 2\n")
    new = compile_in(folder, "it.c", *KERNEL)
    assert new.calls
    assert new.made != old.made
    folder_with(tmp_path, "x", it_h="#define A 1\n")
    assert compile_in(folder, "it.c", *KERNEL) == Compiled([], old.made, "")


def test_what_the_compiler_said_is_said_again_with_a_known_object(compile_in, tmp_path):
    folder = folder_with(tmp_path, "x", it_c="static int unused;\n")
    first = compile_in(folder, "it.c", *KERNEL, "-Wall")
    assert "it.c:1:12: warning: " in first.said
    assert compile_in(folder, "it.c", *KERNEL, "-Wall") == Compiled([], first.made, first.said)


def test_an_error_is_said_once(compile_in, tmp_path):
    folder = folder_with(tmp_path, "x", it_c="int a = B;\n")
    for _ in range(2):
        failed = compile_in(folder, "it.c", *KERNEL)
        assert failed.made == b""
        assert failed.said.count("it.c:1:9: error: ") == 1


@pytest.mark.parametrize(
    ("name", "text"), [("it.c", 'asm(".incbin \\"blob\\"");\n'), ("it.S", '.incbin "blob"\n')], ids=["C", "assembly"]
)
def test_what_the_assembler_reads_by_itself_is_never_old(compile_in, tmp_path, name, text):
    folder = folder_with(tmp_path, "x")
    (folder / name).write_text(text)
    for blob in (b"first", b"second"):
        (folder / "blob").write_bytes(blob)
        assert blob in compile_in(folder, name, *KERNEL).made


def test_a_header_of_the_system_that_changed_makes_another_program(compile_in, tmp_path):
    folder = folder_with(tmp_path, "x", it_c="#include <it.h>\nint a = A;\n")
    system = folder_with(tmp_path, "system", it_h="#define A 1\n")
    flags = ("-Wp,-MMD,it.d", "-isystem", os.fspath(system))
    old = compile_in(folder, "it.c", *flags)
    folder_with(tmp_path, "system", it_h="#define A 2\n")
    assert compile_in(folder, "it.c", *flags).made != old.made
