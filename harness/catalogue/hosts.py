"""hosts.toml: machines that nights may use, as frozen values. Strict like every declaration."""

from __future__ import annotations

from pathlib import Path

from harness.catalogue.load import read
from harness.catalogue.model import Declared
from harness.errors import DeclarationError


class Host(Declared, frozen=True, kw_only=True):
    """A machine that is reached over SSH."""

    address: str  # name or address
    user: str = ""  # default: the local one
    port: int = 22
    key: str = ""  # private key file; default: the agent's, then ~/.ssh
    cores: int = 0  # guests at a time; 0: its processors
    builds: bool = True  # whether it has room for kernel builds
    cache: str = ""  # its LAB_CACHE; default: its user's ~/.cache/lab


class Hosts(Declared, frozen=True, kw_only=True):
    """hosts.toml. ``listen`` is this machine's address as the hosts reach it; found out when it is left out."""

    hosts: dict[str, Host]
    listen: str = ""
    known_hosts: str = "~/.ssh/known_hosts"


def load_hosts(path: Path) -> Hosts:
    """The machines declared in a file.

    Raises DeclarationError.
    """
    declared = read(path, Hosts)
    if not declared.hosts:
        raise DeclarationError(str(path), "no host is declared")
    for name, host in declared.hosts.items():
        if not 0 < host.port < 65536:
            raise DeclarationError(str(path), f"hosts.{name}.port: {host.port} is no port")
        if host.cores < 0:
            raise DeclarationError(str(path), f"hosts.{name}.cores: must not be negative")
    return declared
