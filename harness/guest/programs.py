"""Case programs and tools: C sources to static binaries, kept by content.

A program sees three places of headers: the kernel's own (``headers``: what ``make headers_install`` made of the very
kernel it will run on), the one pinned kselftest harness (``selftests``: kselftest.h and kselftest_harness.h of one
kernel tree for all bases, since their teardown rules differ between versions), and the suites' shared ones
(``include``).

    programs = build_programs({"cases/unlinked/alias_test": Path(".../alias_test.c")}, cache,
                              headers=kernel.headers, selftests=pinned, include=workspace.include)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache as memoise
from pathlib import Path

from harness.cache import Cache, digest, digest_file, digest_tree
from harness.errors import BuildError
from harness.process import run

Programs = Mapping[str, Path]
"""Static binaries by their path in the guest, without the leading slash."""

CASES = "cases/"
COMPILER = "gcc"
FLAGS = ("-std=gnu11", "-O2", "-g1", "-static", "-pthread", "-Wall", "-Wno-unused-result")
"""Static: the guest has no libraries. -g1: a crash in a case can be looked up, and the guest gets it stripped."""

WRAPPED = ("-Wl,--wrap=main",)
"""The C library's call of main() ends at __wrap_main(), which may call it as __real_main()."""

FIRST_ERROR = re.compile(r"^.*(?:error:|undefined reference to|cannot find -l).*$", re.MULTILINE)


def first_error(output: str) -> str:
    """The compiler's or linker's first complaint, else the last line it said."""
    found = FIRST_ERROR.search(output)
    if found:
        return found.group(0).strip()
    return (output.strip().splitlines() or ["(no output)"])[-1]


@memoise
def compiler_version(compiler: str) -> str:
    """What the compiler calls itself; part of every key."""
    return run([compiler, "--version"]).stdout.splitlines()[0]


@memoise
def _headers_key(folder: Path) -> str:
    return digest_tree(folder)


def _siblings(source: Path) -> list[Path]:
    """Headers beside the source: a change to one of them makes the program anew."""
    return sorted(source.parent.glob("*.h"))


def _key(source: Path, folders: Sequence[Path], flags: Sequence[str]) -> str:
    beside = [f"{path.name} {digest_file(path)}" for path in _siblings(source)]
    places = [_headers_key(folder.resolve()) for folder in folders]
    return digest(
        "program 2", compiler_version(COMPILER), *flags, source.name, digest_file(source), *beside, "/", *places
    )


def compile_program(
    source: Path,
    cache: Cache,
    *,
    headers: Path,
    selftests: Path | None = None,
    include: Sequence[Path] = (),
    flags: Sequence[str] = (),
    late: Path | None = None,
) -> Path:
    """The static, stripped binary of one C file, in the cache.

    ``headers`` is the folder that holds linux/ and asm/. ``late`` is a C file whose __wrap_main() comes before main().
    Raises BuildError with the compiler's first error, InfraError when there is no compiler.
    """
    own = [folder for folder in include if folder.is_dir()]
    system = [folder for folder in (selftests, headers) if folder is not None]
    sources = [os.fspath(path) for path in (source, late) if path]
    every = (*FLAGS, *flags, *(WRAPPED if late else ()))
    key = _key(source, [*own, *system], (*every, digest_file(late) if late else ""))

    def make(scratch: Path) -> None:
        target = scratch / source.stem
        place = source.parent.parent
        # What a failed assertion says of its place must not depend on where the workspace is.
        argv = [COMPILER, *every, f"-ffile-prefix-map={place}={place.name}", "-o", os.fspath(target)]
        for folder in own:
            argv += ["-I", os.fspath(folder)]
        for folder in system:
            argv += ["-isystem", os.fspath(folder)]
        done = run([*argv, *sources], check=False)
        if not done.ok:
            raise BuildError(f"{source.name} does not compile", first_error=first_error(done.stderr))
        run(["strip", "--strip-debug", os.fspath(target)])

    return cache.make("programs", key, make) / source.stem


def build_programs(
    sources: Mapping[str, Path],
    cache: Cache,
    *,
    headers: Path,
    selftests: Path,
    include: Sequence[Path] = (),
    late: Path | None = None,
) -> Programs:
    """Every source's binary, by the path in the guest it was asked under; compiled in parallel.

    Those of cases get ``late``.

    Raises BuildError of the first source, in the mapping's order, that does not compile.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="cc") as pool:
        futures = {
            name: pool.submit(
                compile_program,
                source,
                cache,
                headers=headers,
                selftests=selftests,
                include=include,
                late=late if name.startswith(CASES) else None,
            )
            for name, source in sources.items()
        }
        return {name: future.result() for name, future in futures.items()}
