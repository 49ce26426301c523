"""The site over HTTP, for this machine alone."""

from __future__ import annotations

import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness.errors import InfraError

LOOPBACK = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and keeps no log; no folder is listed that has no page."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        self.send_error(404, "no page here")


class Server:
    """A context manager: listens while it is open. ``address`` is what a browser opens."""

    def __init__(self, folder: Path, port: int) -> None:
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=str(folder)))
        except OSError as exc:
            raise InfraError(f"cannot listen on port {port}: {exc.strerror}", hint="--port 0 takes any") from exc
        self.address = f"http://{LOOPBACK}:{self._server.server_port}/"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.server_close()

    def run(self) -> None:
        """Serve until KeyboardInterrupt."""
        self._server.serve_forever()

    def stop(self) -> None:
        """End ``run`` from another thread."""
        self._server.shutdown()
