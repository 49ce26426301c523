"""Which compiler and linker build: part of a kernel's key."""

from __future__ import annotations

import functools
import os
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
