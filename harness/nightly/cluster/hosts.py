"""The hosts of a hosts.toml made ready: reached, brought the lab's code once, checked by doctor, and put to work.

The scheduler lives in this process and speaks TLS with certificates made for this night.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.catalogue.hosts import Host, Hosts, load_hosts
from harness.errors import InfraError
from harness.nightly.cluster import parcel
from harness.nightly.cluster.offer import own_code
from harness.nightly.cluster.reach import members, own_scheduler
from harness.nightly.cluster.serve import TLS
from harness.nightly.cluster.ssh import Remote
from harness.paths import shipped_root

CODE = (
    "lab", "harness", "pyproject.toml", "requirements.lock", "requirements-cluster.lock", "README.md",
    "images", "kernel-patches", "testcases",
)  # fmt: skip
"""What of the lab's own tree a host gets."""
BEGINS = 90.0
"""Seconds in which a host's worker reports to the scheduler; its Python packages are there by then."""


@dataclass(frozen=True)
class Settled:
    """A host that has the code and passed doctor."""

    name: str
    host: Host
    remote: Remote
    code: str  # the folder


@contextlib.contextmanager
def hosts(path: Path) -> Iterator[Any]:
    """A dask client with a worker on each host of a hosts.toml; they end with the context.

    Raises DeclarationError; InfraError when no host can be used. A host that cannot is said to be left out.
    """
    from distributed.security import Security

    declared = load_hosts(path)
    security = Security.temporary()
    bundle = parcel.pack(shipped_root(), CODE, leave=("__pycache__",))
    with contextlib.ExitStack() as stack:
        settled = _settle_all(declared, path, bundle, stack)
        client, address = stack.enter_context(own_scheduler(_listen(declared), security))
        for each in settled:
            _start(each, address, security)
        _wait(client, settled)
        yield client


def _listen(declared: Hosts) -> str:
    """The address of this machine on the way to the first host: no packet is sent to find it out."""
    if declared.listen:
        return declared.listen
    first = next(iter(declared.hosts.values()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((first.address, first.port))
        return str(probe.getsockname()[0])


def _settle_all(declared: Hosts, path: Path, bundle: bytes, stack: contextlib.ExitStack) -> list[Settled]:
    known = Path(declared.known_hosts).expanduser()
    known = known if known.is_absolute() else path.parent / known

    def settle(name: str, host: Host) -> Settled | InfraError:
        try:
            remote = stack.enter_context(Remote(name, host, known))
            return _settle(name, host, remote, bundle)
        except InfraError as exc:
            return exc

    with ThreadPoolExecutor(max(1, min(32, len(declared.hosts))), thread_name_prefix="settle") as pool:
        found = list(pool.map(settle, declared.hosts, declared.hosts.values()))
    good = [each for each in found if isinstance(each, Settled)]
    bad = [each for each in found if isinstance(each, InfraError)]
    if not good:
        raise InfraError("no host can be used:\n" + "\n".join(each.message for each in bad), hint=bad[0].hint)
    import logging

    for each in bad:
        logging.getLogger(__name__).warning("left out: %s", each.message)
    return good


def _settle(name: str, host: Host, remote: Remote, bundle: bytes) -> Settled:
    """Bring the code unless it is there, and have the host's own doctor look at it."""
    cache = host.cache or "/".join((remote.ask("printenv", "HOME")[1], ".cache", "lab"))
    folder = f"{cache}/code/{own_code()}"
    there, _ = remote.ask("test", "-e", f"{folder}/lab", check=False)
    if there != 0:
        _bring(remote, bundle, folder)
    code, said = remote.ask("env", f"LAB_CACHE={cache}", f"{folder}/lab", "doctor", check=False)
    if code != 0:
        raise InfraError(f"{name}: doctor says no:\n{said}")
    return Settled(name, Host(**{**_fields(host), "cache": cache}), remote, folder)


def _fields(host: Host) -> dict[str, Any]:
    return {name: getattr(host, name) for name in host.__struct_fields__}


def _bring(remote: Remote, bundle: bytes, folder: str) -> None:
    scratch = f"{folder}.{os.getpid()}"
    remote.ask("mkdir", "-p", scratch)
    remote.write(bundle, f"{scratch}/.bundle")
    remote.ask("tar", "-xzf", f"{scratch}/.bundle", "-C", scratch)
    remote.ask("rm", f"{scratch}/.bundle")
    # Another night may have brought the same meanwhile: then theirs is as good.
    remote.ask("sh", "-c", f'mv -T "{scratch}" "{folder}" 2>/dev/null || rm -rf "{scratch}"')


def _start(each: Settled, address: str, security: Any) -> None:
    """A worker on the host, by the lab's own verb; the certificates are readable by its user alone."""
    tls = f"{each.code}/../../tls"
    each.remote.ask("mkdir", "-p", "-m", "700", tls)
    given = (security.tls_ca_file, security.tls_worker_cert, security.tls_worker_key)
    for name, text in zip(TLS, given, strict=True):
        each.remote.ask("sh", "-c", f'umask 077 && : > "{tls}/{name}"')
        each.remote.write(str(text).encode(), f"{tls}/{name}")
    more = ["--cores", str(each.host.cores)] if each.host.cores else []
    more += [] if each.host.builds else ["--no-build"]
    argv = [f"{each.code}/lab", "worker", address, "--name", each.name, "--tls", tls, *more]
    each.remote.begin(*argv, environment={"LAB_CACHE": each.host.cache, "LAB_WORKSPACE": each.code})


def _wait(client: Any, settled: list[Settled]) -> None:
    """Until every host's worker is there.

    Raises InfraError that names those that are not.
    """
    deadline = time.monotonic() + BEGINS
    wanted = {each.name for each in settled}
    while time.monotonic() < deadline:
        there = {str(each["name"]) for each in members(client).values()}
        if wanted <= there:
            return
        time.sleep(0.2)
    raise InfraError(
        f"no worker came up on {', '.join(sorted(wanted - there))} within {BEGINS:.0f} s",
        hint="do they reach this machine? `listen` of hosts.toml is the address they are told",
    )
