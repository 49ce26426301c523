"""Where a base's source comes from: a Debian package, a tarball, a URL. Each ends as a tarball on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.cache import digest_file
from harness.catalogue.model import Base
from harness.errors import InfraError, UserError
from harness.kernel import apt
from harness.progress import Progress, Step

USR_SRC = Path("/usr/src")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Tarball:
    """A tarball on disk, its checksum, and the words that say exactly what it is."""

    path: Path
    sha256: str
    origin: str
    package_version: str = ""


def get(base: Base, root: Path, scratch: Path, progress: Progress, *, refresh: bool = False) -> Tarball:
    """The tarball of a base that is not a git tree; what has to be downloaded goes into ``scratch``.

    ``refresh``: the newest there is, whatever the machine's lists of packages say.

    Raises UserError for a file that is missing or has the wrong checksum, InfraError when nothing can be reached.
    """
    if base.package:
        return _from_package(base.package, scratch, progress, refresh)
    if base.url:
        return _from_url(base.url, base.sha256, scratch, progress)
    return _from_file(local_path(base.tarball, root), base.sha256, progress)


def local_path(text: str, root: Path) -> Path:
    """A path of a declaration: ``~`` and paths relative to the workspace are understood."""
    return (root / Path(text).expanduser()).resolve()


def _from_file(path: Path, sha256: str, progress: Progress) -> Tarball:
    if not path.is_file():
        raise UserError(f"the tarball {path} is not there")
    progress(Step("fetch", note=f"checking {path.name}"))
    found = digest_file(path)
    _same_checksum(str(path), found, sha256)
    return Tarball(path, found, str(path))


def _same_checksum(what: str, found: str, wanted: str) -> None:
    if wanted and found != wanted.lower():
        raise UserError(f"{what} is not what was declared: its sha256 is {found}, declared is {wanted.lower()}")


def _from_url(url: str, sha256: str, scratch: Path, progress: Progress) -> Tarball:
    import urllib.error  # 50 ms that a warm run need not pay
    import urllib.request

    target = scratch / "source.tar"
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=60) as reply, target.open("wb") as sink:
            total = int(reply.headers.get("Content-Length") or 0)
            while chunk := reply.read(CHUNK):
                sink.write(chunk)
                done += len(chunk)
                progress(Step("fetch", done >> 20, total >> 20, f"MiB of {url}"))
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as exc:
        why = getattr(exc, "reason", None) or exc
        raise InfraError(
            f"cannot download {url}: {why}", hint="a base may also be a local tarball or git tree"
        ) from exc
    if total and done != total:
        raise InfraError(f"{url} ended after {done} of {total} bytes")
    found = digest_file(target)
    _same_checksum(url, found, sha256)
    return Tarball(target, found, url)


Found = tuple[Path, str]
"""A tarball, and the version of the package that has it."""


def _from_package(package: str, scratch: Path, progress: Progress, refresh: bool) -> Tarball:
    """The tarball in a Debian source package: the installed one when apt has none newer, else the archive's."""
    tried: list[str] = []
    installed = _installed(package, tried)
    found = None
    for asked in _ways_to_ask(scratch, tried, progress, refresh):
        found = found or _newest(asked, package, installed, scratch, tried, progress)
        if found:
            break
    found = found or installed
    if found is None:
        raise InfraError(
            f"cannot get the Debian package {package}: " + "; ".join(tried),
            hint="a base may also be a tarball, a URL or a git tree (docs/kernels.md)",
        )
    return _checked(package, *found, progress)


def _ways_to_ask(scratch: Path, tried: list[str], progress: Progress, refresh: bool) -> Iterator[apt.Apt]:
    """apt with the machine's lists of packages, which may be old or not there, then with lists fetched now."""
    if not apt.here():
        tried.append("this host has no apt")
        return
    if not refresh:
        yield apt.system()
    progress(Step("fetch", note="apt-get update, into the lab's cache"))
    try:
        fresh = apt.fresh(scratch)
    except InfraError as exc:
        tried.append(f"new lists of packages cannot be fetched, is there a network? ({exc.message})")
        return
    yield fresh


def _newest(
    asked: apt.Apt, package: str, installed: Found | None, scratch: Path, tried: list[str], progress: Progress
) -> Found | None:
    candidate = asked.candidate(package)
    if installed and (candidate is None or _not_older(installed[1], candidate)):
        return installed
    if candidate is None:
        tried.append(f"{asked.lists} have no such package")
        return None
    progress(Step("fetch", note=f"apt-get download {package}"))
    try:
        return _unpacked(package, asked.download(package, scratch), scratch)
    except apt.DownloadError as exc:
        tried.append(f"{candidate}, as {asked.lists} have it, cannot be downloaded ({exc.message})")
        return None


def _checked(package: str, path: Path, version: str, progress: Progress) -> Tarball:
    progress(Step("fetch", note=f"checking {path.name}"))
    return Tarball(path, digest_file(path), f"Debian package {package} {version}", version)


def _tarball_in(folder: Path, package: str) -> Path | None:
    return next((found for found in sorted(folder.glob(f"{package}.tar*")) if found.is_file()), None)


def _installed(package: str, tried: list[str]) -> Found | None:
    """Path and version of the installed package's tarball, when it is as dpkg installed it."""
    path = _tarball_in(USR_SRC, package)
    if path is None or process.find("dpkg-query") is None:
        tried.append(f"not installed ({USR_SRC}/{package}.tar.xz)")
        return None
    asked = process.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", package], check=False)
    state, _, version = asked.stdout.partition(" ")
    if not asked.ok or state != "installed":
        tried.append(f"{path} belongs to no installed package")
        return None
    if process.run(["dpkg", "--verify", package], check=False).stdout.strip():
        tried.append(f"{path} was changed since it was installed")
        return None
    return path, version


def _not_older(mine: str, other: str) -> bool:
    return process.run(["dpkg", "--compare-versions", mine, "ge", other], check=False).ok


def _unpacked(package: str, deb: Path, scratch: Path) -> Found:
    version = process.run(["dpkg-deb", "-f", os.fspath(deb), "Version"]).stdout.strip()
    process.run(["dpkg-deb", "-x", os.fspath(deb), os.fspath(scratch / "package")])
    with contextlib.suppress(OSError):
        deb.unlink()
    path = _tarball_in(scratch / "package" / "usr" / "src", package)
    if path is None:
        raise UserError(f"the Debian package {package} {version} has no usr/src/{package}.tar.*")
    return path, version
