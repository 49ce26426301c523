"""Hosts over SSH: commands, files, and a process that lives as long as its connection.

fabric on paramiko. The user's own SSH configuration is not read: what is in hosts.toml is all there is.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import RejectPolicy
from paramiko.ssh_exception import SSHException

from harness.catalogue.hosts import Host
from harness.errors import InfraError

CONNECT = 15
"""Seconds to connect."""


class Remote:
    """One host, connected. A context manager."""

    def __init__(self, name: str, host: Host, known_hosts: Path) -> None:
        self.name = name
        settings = Config(overrides={"load_ssh_configs": False, "run": {"in_stream": False}}, lazy=True)
        keys = {"key_filename": str(Path(host.key).expanduser()), "look_for_keys": False} if host.key else {}
        self._connection = Connection(
            host.address, user=host.user or None, port=host.port, config=settings, connect_timeout=CONNECT,
            connect_kwargs=keys,
        )  # fmt: skip
        client = self._connection.client
        if known_hosts.exists():
            client.load_host_keys(str(known_hosts))
        client.set_missing_host_key_policy(RejectPolicy())
        self._try("connect", self._connection.open)

    def _try(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (SSHException, OSError, EOFError) as exc:
            hint = (
                f"ssh-keyscan adds its key to known_hosts of hosts.toml, if it is {self.name}'s"
                if "known_hosts" in str(exc)
                else None
            )
            raise InfraError(f"{self.name}: cannot {what}: {exc or type(exc).__name__}", hint=hint) from exc

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def ask(self, *argv: str, check: bool = True) -> tuple[int, str]:
        """Exit code and output of a command.

        Raises InfraError when it cannot be run, or ``check`` and it fails.
        """
        command = shlex.join(argv)
        done = self._try(f"run {argv[0]}", lambda: self._connection.run(command, hide=True, warn=True))
        said = (done.stdout + done.stderr).strip()
        if check and not done.ok:
            raise InfraError(f"{self.name}: {argv[0]} exited with {done.exited}:\n{said}")
        return int(done.exited), said

    def write(self, data: bytes, path: str) -> None:
        """A file, whole."""
        self._try(f"write {path}", lambda: self._connection.put(io.BytesIO(data), remote=path))

    def begin(self, *argv: str, environment: Mapping[str, str]) -> Any:
        """Start a command on a terminal of its own: when the connection ends it hangs up, and the command ends."""
        given = [f"{name}={value}" for name, value in environment.items()]
        command = shlex.join(["env", *given, *argv])
        return self._try(
            f"start {argv[0]}",
            lambda: self._connection.run(command, hide=True, warn=True, pty=True, asynchronous=True),
        )
