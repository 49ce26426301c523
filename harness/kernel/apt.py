"""What apt is asked for: the version of a package it would install, and that package's file. Needs no root.

    deb = apt.system().download("linux-source-6.12", folder)
    deb = apt.fresh(scratch).download(...)             # with lists fetched now, into ``scratch``

The machine's own lists may be old, so that what they name is gone from the archive, or there may be none yet. Only
root may renew them, so the lab fetches lists of its own, beside which the machine's stay as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.errors import InfraError

PASSED_ON = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy", "apt_config")
"""Variables of the caller that apt goes by, in small letters: they also come in large ones."""
UPDATING = 600.0
"""Seconds for all lists: some 10 MB from each of a machine's archives."""

CONFIGURATION = """\
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
// Only what names packages.
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Retries "1";
// apt's own user cannot get at a cache that lies in a home.
APT::Sandbox::User "root";
// What the machine hangs on an update is about the machine's lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


class DownloadError(InfraError):
    """A package that apt knows cannot be had: the archive has it no more, or is not reached."""


@dataclass(frozen=True)
class Apt:
    """apt with the machine's lists, or with those of a ``configuration`` of the lab's own; ``lists`` names them."""

    configuration: Path | None = None
    lists: str = "the machine's lists"

    def _options(self) -> list[str]:
        return ["-c", os.fspath(self.configuration)] if self.configuration else []

    def candidate(self, package: str) -> str | None:
        """The version apt would install, None when it knows none."""
        argv = ["apt-cache", *self._options(), "policy", package]
        asked = process.run(argv, env=_environment(), check=False)
        for line in asked.stdout.splitlines():
            key, _, version = line.strip().partition(": ")
            if key == "Candidate" and version != "(none)":
                return version
        return None

    def download(self, package: str, folder: Path) -> Path:
        """The package's file, verified by apt, in ``folder``.

        Raises DownloadError with what apt complained about.
        """
        argv = ["apt-get", *self._options(), "download", package]
        done = process.run(argv, cwd=folder, env=_environment(), check=False)
        deb = next(iter(sorted(folder.glob(f"{package}_*.deb"))), None)
        if not done.ok or deb is None:
            raise DownloadError(_complaint(done.stderr) or f"exit code {done.returncode}")
        return deb


def here() -> bool:
    """Whether this host has apt at all."""
    return process.find("apt-get") is not None and process.find("apt-cache") is not None


def system() -> Apt:
    """apt with the machine's lists, as old as they are."""
    return Apt()


def fresh(scratch: Path) -> Apt:
    """apt with lists of the machine's archives, fetched now.

    Raises InfraError when none can be reached. One of several that cannot be is none of the lab's concern.
    """
    folder = scratch / "apt"
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    configuration = folder / "apt.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    made = Apt(configuration, "lists fetched now")
    argv = ["apt-get", *made._options(), "update"]
    done = process.run(argv, env=_environment(), timeout=UPDATING, check=False)
    if not any((folder / "lists").glob("*_Packages*")):
        raise InfraError(_complaint(done.stderr) or "no archive gave a list of packages")
    return made


def _complaint(text: str) -> str:
    """The first of apt's complaints that tells something, in its own words."""
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("E:", "W:", "Err:"))]
    return next((line for line in lines if "Failed to fetch" in line), lines[0] if lines else "")


def _environment() -> dict[str, str]:
    names = [name for each in PASSED_ON for name in (each, each.upper())]
    return {name: os.environ[name] for name in names if name in os.environ}
