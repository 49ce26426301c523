"""The few things asked of QEMU while it runs, over QMP on an inherited socket. Synchronous: one question, one answer.

qemu.qmp is imported when the first question comes: most guests are never asked one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import InfraError

if TYPE_CHECKING:
    from qemu.qmp import QMPClient


class Monitor:
    """QEMU's monitor behind ``sock``. A context manager; connects when entered."""

    def __init__(self, sock: socket.socket, timeout: float = 10) -> None:
        self._sock = sock
        self._timeout = timeout
        self._loop = asyncio.new_event_loop()
        self._client: QMPClient | None = None

    def __enter__(self) -> Monitor:
        from qemu.qmp import QMPClient

        self._client = QMPClient("lab")
        try:
            self._wait(self._client.connect(self._sock), "connect")
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        try:
            if self._client is not None:
                self._wait(self._client.disconnect(), "disconnect")
        except InfraError:
            pass  # QEMU is gone: nothing is left to be told
        finally:
            self._loop.close()

    def ask(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """The answer to one command.

        Raises InfraError when QEMU refuses, is gone, or does not answer in time.
        """
        assert self._client is not None
        return self._wait(self._client.execute(command, arguments), command)

    def give(self, fd: int, name: str) -> None:
        """Hand QEMU a file descriptor to be used under a name."""
        assert self._client is not None
        self._client.send_fd_scm(fd)
        self.ask("getfd", {"fdname": name})

    def _wait(self, question: Any, what: str) -> Any:
        from qemu.qmp import QMPError

        try:
            return self._loop.run_until_complete(asyncio.wait_for(question, self._timeout))
        except (QMPError, OSError) as exc:
            raise InfraError(f"QEMU's monitor: {what}: {exc}") from exc
        except TimeoutError as exc:
            raise InfraError(f"QEMU's monitor did not answer {what} within {self._timeout:g} s") from exc
