"""The site over HTTP, for this machine alone."""

from __future__ import annotations

import io
import os
import posixpath
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from harness.errors import InfraError

LOOPBACK = "127.0.0.1"


PLAIN = "text/plain; charset=utf-8"


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and keeps no log. The site's own folders are not listed; those of runs, which have no page, are.

    ``runs`` is where they are, ``prefix`` where a page's relative links lead to them. What a guest wrote is text.
    """

    extensions_map = SimpleHTTPRequestHandler.extensions_map | dict.fromkeys(
        (".log", ".config", ".diff", ".sh", ".json"), PLAIN
    )

    def __init__(self, *args: Any, runs: Path, prefix: str, **kwargs: Any) -> None:
        self.runs, self.prefix = runs, prefix
        super().__init__(*args, **kwargs)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def translate_path(self, path: str) -> str:
        below = posixpath.normpath(unquote(urlsplit(path).path))
        if not below.startswith(f"{self.prefix}/"):
            return super().translate_path(path)
        rest = below.removeprefix(f"{self.prefix}/") + ("/" if path.endswith("/") else "")
        return os.fspath(self.runs / rest) + ("/" if rest.endswith("/") else "")

    def list_directory(self, path: str | os.PathLike[str]) -> io.BytesIO | None:
        if Path(path).is_relative_to(self.runs):
            return super().list_directory(path)
        self.send_error(404, "no page here")
        return None


class Server:
    """A context manager: listens while it is open. ``address`` is what a browser opens."""

    def __init__(self, folder: Path, runs: Path, port: int) -> None:
        led = posixpath.normpath("/run/" + os.path.relpath(runs, folder / "run"))
        answer = partial(_Quiet, directory=str(folder), runs=runs, prefix=led)
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), answer)
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
