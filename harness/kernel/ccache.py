"""What make compiles with: gcc behind ccache, told file by file how to look.

Ordinarily ccache preprocesses a file that it does not know, and then compiles it: a third more time for each object
of a first build. In its depend mode it learns from the compiler's own list of headers what an object was made of. That
list lacks what the assembler reads by itself (``.incbin``) and the system's headers; ccache would give an old object
for them. So a small script of the lab stands before ccache and has it look so only where neither can be.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import process
from harness.cache import Cache, digest

NAME = "ccache"
"""The script is found by this name, before ccache itself: kbuild makes all anew that another command had made."""
SCRIPT = """\
#!/bin/sh
# The kernel's own C is compiled with -nostdinc, programs of the host are not; the source comes last.
for source; do :; done
case " $* " in
*" -nostdinc "*)
	case $source in
	*.c) grep -q incbin -- "$source" || export CCACHE_DEPEND=1 ;;
	esac
	;;
esac
exec {ccache} "$@"
"""


@dataclass(frozen=True)
class Means:
    """Variables for make's command line and for its environment, and the folders that a sandbox must leave to it."""

    variables: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()


def means(cache: Cache, quarantine: str = "") -> Means:
    """What a make compiles with. A quarantine has a compiler cache of its own, which begins as a copy.

    Without ccache where it is not installed.
    """
    real = process.find(NAME)
    if real is None:
        return Means(("CC=gcc", "HOSTCC=gcc"))
    folder = _folder(cache.root, quarantine)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    front = _front(cache, real)
    env = {
        "PATH": f"{front}:{os.environ.get('PATH', os.defpath)}",
        "CCACHE_DIR": os.fspath(folder),
        # Paths below the tree are relative (O=build inside it), so the folder's own name need not count.
        "CCACHE_NOHASHDIR": "1",
    }
    return Means((f"CC={NAME} gcc", f"HOSTCC={NAME} gcc"), env, readable=(front,), writable=(folder,))


def _front(cache: Cache, real: str) -> Path:
    """The folder with the script."""
    text = SCRIPT.format(ccache=real)

    def write(entry: Path) -> None:
        (entry / NAME).write_text(text)
        (entry / NAME).chmod(0o755)

    return cache.make("fronts", digest(text), write).absolute()


def _folder(cache_root: Path, quarantine: str) -> Path:
    shared = cache_root / "ccache"
    if not quarantine:
        return Path(os.environ.get("CCACHE_DIR") or shared).absolute()
    folder = cache_root / "ccaches" / digest(quarantine)
    _begin_as(folder, shared)
    return folder.absolute()


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
