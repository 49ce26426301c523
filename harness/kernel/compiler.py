"""Which compiler and linker build: part of a kernel's key."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from pathlib import Path

from harness import process
from harness.cache import Cache, digest


@functools.cache
def label(cache_root: Path) -> str:
    """``gcc --version`` and ``ld --version``, first lines. Remembered by the programs' size and age: a warm run asks
    nobody.

    Raises InfraError when one is not installed.
    """
    paths = [Path(process.require(program)).resolve() for program in ("gcc", "ld")]
    facts = [path.stat() for path in paths]
    signs = [f"{path} {each.st_size} {each.st_mtime_ns}" for path, each in zip(paths, facts, strict=True)]

    def ask(entry: Path) -> None:
        said = [process.run([os.fspath(path), "--version"]).stdout.splitlines()[0] for path in paths]
        (entry / "label").write_text("; ".join(said))

    return (Cache(cache_root).make("compilers", digest(*signs), ask) / "label").read_text()


def make_variables(cache_root: Path, quarantine: str = "") -> tuple[list[str], dict[str, str], Path | None]:
    """What make gets to compile with: variables for its command line, its environment, and ccache's folder.

    The folder is None when ccache is not installed. A quarantine has a folder of its own, which begins as a copy.
    """
    if process.find("ccache") is None:
        return ["CC=gcc", "HOSTCC=gcc"], {}, None
    shared = cache_root / "ccache"
    if quarantine:
        folder = cache_root / "ccaches" / digest(quarantine)
        _begin_as(folder, shared)
    else:
        folder = Path(os.environ.get("CCACHE_DIR") or shared).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    # Paths below the tree are relative (O=build inside it), so the folder's own name need not count.
    env = {"CCACHE_DIR": os.fspath(folder), "CCACHE_NOHASHDIR": "1"}
    return ["CC=ccache gcc", "HOSTCC=ccache gcc"], env, folder


def _begin_as(folder: Path, shared: Path) -> None:
    """A copy of the lab's own compiler cache: nothing goes back. What vanishes meanwhile is merely not copied."""
    if folder.exists() or not shared.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as scratch:
        copy = Path(scratch) / "ccache"
        process.run(["cp", "-a", "--reflink=auto", os.fspath(shared), os.fspath(copy)], check=False)
        with contextlib.suppress(OSError):  # another lab was faster
            copy.rename(folder)
