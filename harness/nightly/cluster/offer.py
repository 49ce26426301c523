"""What a host is offered for a job: names and seals of what it may fetch when it does not have it. Plain values."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.cache import digest, digest_tree
from harness.paths import shipped_root

RUN, BUILD, HOME = "run", "build", "home"
"""Resources of workers: cores for guests, room for a kernel build, the machine that started the night."""


class Parcel(msgspec.Struct, frozen=True):
    """An entry of the cache, as it is published: ``kind`` and ``key`` of the cache, sha256 of its bytes."""

    kind: str
    key: str
    seal: str
    name: str  # of the published dataset


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The workspace, the kselftest headers, and kernels by their request's identity."""

    workspace: Parcel
    selftests: Parcel
    kernels: dict[str, Parcel] = {}


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel to build, by the names of the catalogue."""

    identity: str
    base: str
    stack: tuple[tuple[str, int | None], ...]
    fragments: tuple[str, ...]
    options: tuple[str, ...]


class Host(msgspec.Struct, frozen=True):
    """What a worker says of itself."""

    name: str
    cores: int
    code: str  # key of the harness's own source
    qemu: str
    compiler: str
    python: str


SHARED = ("images", "kernel-patches/bases", "kernel-patches/config", "testcases/include", "testcases/tools")
"""What of the lab's own tree takes part in every workspace."""


def own_code() -> str:
    """A key of the lab as it runs, with what ships with it: hosts with another one would judge by other rules."""
    harness = Path(__file__).resolve().parents[2]
    return digest(digest_tree(harness), *(digest_tree(shipped_root() / name) for name in SHARED))
