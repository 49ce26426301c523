"""The few things asked of QEMU while it runs: QMP on an inherited socket, one question and its answer at a time.

QMP is lines of JSON, and a guest is started far more often than its monitor is asked. qemu.qmp needs an event loop and
50 ms to import, half of what starting a saved guest takes; this is the part of it that is needed here.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

from harness.errors import InfraError
from harness.machine.deadline import Deadline


class Monitor:
    """QEMU's monitor at the other end of ``sock``, whose settings are left as they are. ``timeout`` in seconds.

    ``begun``: it was spoken to before, over another socket.
    """

    def __init__(self, sock: socket.socket, timeout: float = 10, *, begun: bool = False) -> None:
        self._sock = sock
        self._timeout = timeout
        self._rest = b""
        self._begun = begun

    def ask(self, command: str, arguments: Mapping[str, object] | None = None, *, fd: int | None = None) -> Any:
        """The answer to one command; ``fd`` goes with it.

        Raises InfraError when QEMU refuses, is gone, or does not answer in time.
        """
        if not self._begun:
            self._begun = True
            self._receive(Deadline(self._timeout), "QMP")  # the greeting
            self.ask("qmp_capabilities")
        question = json.dumps({"execute": command} | ({"arguments": arguments} if arguments else {}))
        try:
            socket.send_fds(self._sock, [question.encode() + b"\n"], [fd] if fd is not None else [])
        except OSError as exc:
            raise InfraError(f"QEMU's monitor is gone before {command}") from exc
        deadline = Deadline(self._timeout)
        while True:
            answer = self._receive(deadline, command)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise InfraError(f"QEMU refuses {command}: {answer['error'].get('desc')}")

    def _receive(self, deadline: Deadline, what: str) -> dict[str, Any]:
        """The next message, be it an answer or an event."""
        before = self._sock.gettimeout()
        try:
            while b"\n" not in self._rest:
                self._sock.settimeout(deadline.remaining or 1e-3)
                data = self._sock.recv(65536)
                if not data:
                    raise InfraError(f"QEMU ended before it answered {what}")
                self._rest += data
        except TimeoutError as exc:
            raise InfraError(f"QEMU's monitor did not answer {what} within {self._timeout:g} s") from exc
        except OSError as exc:
            raise InfraError(f"QEMU ended before it answered {what}") from exc
        finally:
            self._sock.settimeout(before)
        line, self._rest = self._rest.split(b"\n", 1)
        message = json.loads(line)
        if not isinstance(message, dict):
            raise InfraError(f"QEMU's monitor answers {what} with {line[:80]!r}")
        return message
