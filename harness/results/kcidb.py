"""Runs as a KCIDB submission, schema v5.3: what kernel CI systems send each other.

    document([Ran(entry.name, entry.manifest, entry.result)], origin="lab")

A state's source is a checkout, its kernel a build, a case a test. ``status`` is what happened: a wanted red is FAIL
here too, and ``misc`` says what was expected and whether it was met. The base's own commit is not told as
``git_commit_hash``: a source that came as a tarball has none that anybody else knows.

Schema: https://github.com/kernelci/kcidb-io (kcidb_io/schema/v05_03.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.cache import digest
from harness.catalogue.model import Status
from harness.results.model import CaseResult, Kernel, Manifest, RunResult
from harness.results.text import wanted

EXCERPT = 16384
"""Characters that the schema allows for ``log_excerpt``."""
ORIGIN = re.compile(r"[a-z0-9_]+")


class Checkout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A base with patches on it. ``valid`` is whether they apply."""

    id: str
    origin: str
    tree_name: str = ""
    git_commit_name: str = ""
    patchset_hash: str = ""
    message_id: str = ""
    comment: str = ""
    start_time: str = ""
    log_excerpt: str = ""
    valid: bool | None = None
    misc: dict[str, Any] = {}


class Build(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A kernel, or one that does not compile."""

    id: str
    checkout_id: str
    origin: str
    comment: str = ""
    architecture: str = ""
    compiler: str = ""
    config_name: str = ""
    duration: float | None = None
    log_excerpt: str = ""
    status: Status | None = None
    misc: dict[str, Any] = {}


class Environment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a test ran."""

    comment: str = ""
    misc: dict[str, Any] = {}


class Test(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A case in a state."""

    id: str
    build_id: str
    origin: str
    path: str = ""
    comment: str = ""
    status: Status | None = None
    start_time: str = ""
    duration: float | None = None
    log_excerpt: str = ""
    environment: Environment | None = None
    misc: dict[str, Any] = {}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A submission. Each object once, by its id."""

    version: dict[str, int] = msgspec.field(default_factory=lambda: {"major": 5, "minor": 3})
    checkouts: tuple[Checkout, ...] = ()
    builds: tuple[Build, ...] = ()
    tests: tuple[Test, ...] = ()

    def json(self) -> bytes:
        """As it is submitted, with a newline at its end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


@dataclass(frozen=True)
class Ran:
    """A run: its folder's name and what stands in it."""

    name: str
    manifest: Manifest
    result: RunResult


def document(runs: Iterable[Ran], origin: str = "lab", extra: Document | None = None) -> Document:
    """The submission for runs; ``extra`` has what no run can tell: patches that do not apply, kernels that do not
    build.

    Raises ValueError for an origin that the schema does not allow.
    """
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r}: an origin has lower case letters, digits and underscores")
    extra = extra or Document()
    checkouts = {each.id: each for each in extra.checkouts}
    builds = {each.id: each for each in extra.builds}
    tests = {each.id: each for each in extra.tests}
    for ran in runs:
        for kernel in ran.manifest.kernels:
            checkout = _checkout(ran.manifest, kernel, origin)
            checkouts.setdefault(checkout.id, checkout)
            build = _build(ran.manifest, kernel, checkout.id, origin)
            builds.setdefault(build.id, build)
        tests |= {test.id: test for test in _tests(ran, origin)}
    return Document(checkouts=tuple(checkouts.values()), builds=tuple(builds.values()), tests=tuple(tests.values()))


def checkout_id(origin: str, source: str, stack: Sequence[str], salt: str = "") -> str:
    """Of a base's commit and what stands on it; ``salt`` tells two states of a changing series apart."""
    return f"{origin}:{digest(source, *stack, salt)}"


def patchset_hash(patches: Iterable[bytes]) -> str:
    """As the schema has it: sha256 over the sha256 of each patch, a line each; empty without patches."""
    lines = "".join(f"{hashlib.sha256(patch).hexdigest()}\n" for patch in patches)
    return hashlib.sha256(lines.encode()).hexdigest() if lines else ""


def clean(text: str, limit: int = EXCERPT) -> str:
    """Text that the schema can hold: no NUL, and of a long one the end, where kernels say what went wrong."""
    return text.replace("\0", "?")[-limit:]


def path(*words: str) -> str:
    """A test's place: ``ext4-unlinked.alias``. What the schema does not allow becomes an underscore."""
    return ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", word) for word in words if word)


def _checkout(manifest: Manifest, kernel: Kernel, origin: str) -> Checkout:
    return Checkout(
        # The kernel's key knows the patches themselves; the stack only has their names.
        id=checkout_id(origin, kernel.source, kernel.stack, kernel.key),
        origin=origin,
        tree_name=kernel.base,
        git_commit_name=f"v{kernel.release}" if kernel.release else "",
        comment=clean(kernel.label),
        start_time=manifest.created,
        valid=True,
        misc={"source": kernel.source, "stack": kernel.stack},
    )


def _build(manifest: Manifest, kernel: Kernel, checkout: str, origin: str) -> Build:
    return Build(
        id=f"{origin}:{kernel.key}",
        checkout_id=checkout,
        origin=origin,
        comment=clean(kernel.label),
        architecture="x86_64",
        compiler=manifest.tools.compiler,
        config_name="+".join(("lab", *kernel.config)),
        status=Status.PASS,
        misc={"state": kernel.state},
    )


def _tests(ran: Ran, origin: str) -> Iterable[Test]:
    manifest = ran.manifest
    builds = {kernel.state: f"{origin}:{kernel.key}" for kernel in manifest.kernels}
    where = Environment(
        comment=clean(f"QEMU guest on {manifest.tools.host}" if manifest.tools.host else "QEMU guest"),
        misc={
            "qemu": manifest.tools.qemu,
            "accelerator": manifest.accel.name if manifest.accel else "",
            "host_kernel": manifest.tools.host_kernel,
            "options": manifest.options,
        },
    )
    for case in ran.result.cases:
        if case.state in builds:
            yield _test(ran, case, builds[case.state], where, origin)


def _test(ran: Ran, case: CaseResult, build: str, where: Environment, origin: str) -> Test:
    outcome = case.outcome
    expected = wanted(case.expected) if case.expected else ""
    return Test(
        id=f"{origin}:{clean(f'{ran.name}/{case.state}/{case.case}')}",
        build_id=build,
        origin=origin,
        path=path(ran.result.scenario, case.case),
        comment=clean(f"{outcome.kind}: {outcome.reason}" if outcome.reason else str(outcome.kind)),
        status=outcome.status,
        start_time=ran.result.started,
        duration=outcome.duration,
        log_excerpt=clean(_excerpt(case)),
        environment=where,
        misc={"state": case.state, "expected": expected, "met": case.met, "costs": outcome.costs},
    )


def _excerpt(case: CaseResult) -> str:
    """What the kernel complained of, else what the program said."""
    lines = [line for splat in case.outcome.splats for line in splat.excerpt]
    return "\n".join(lines) or case.outcome.message
