"""What the agent says of one case, taken in frame by frame."""

from __future__ import annotations

from harness.machine import channel
from harness.machine.channel import Event, Output
from harness.machine.console import after_marker
from harness.machine.outcome import Ended, RawResult
from harness.machine.wired import Wired

OUTPUT_MAX = 4 * 1024 * 1024
"""Bytes kept of a case's output."""
EVENTS_MAX = 10_000
"""What an agent has to tell of a case are some ten words; a kernel that talks in its place may never end."""


class Report:
    """What the agent says of one case."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.timeout = False
        self.stopped = False
        self.unmount = ""
        self.left: list[str] = []
        self.events: list[str] = []
        self._output: list[bytes] = []
        self._size = 0

    def take(self, frame: Event | Output) -> bool:
        """Note one frame; true when it was the last."""
        if isinstance(frame, Output):
            self._keep(frame.text + (b"\n" if frame.whole else b""))
            return False
        if len(self.events) == EVENTS_MAX:
            raise channel.ProtocolError(f"more than {EVENTS_MAX} words of the agent's own in one case")
        if frame.word != "beat":
            self.events.append(str(frame))
        match frame:
            case Event("unmount", ("ok",)):
                self.unmount = "ok"
            case Event("unmount", ("error", errno)):
                self.unmount = errno
            case Event("mount", ("error", errno, _)):
                self.unmount = f"mount: {errno}"
            case Event("left", what):
                self.left.append(" ".join(what))
            case _:
                self._end(frame)
        return frame.word == "done"

    def _end(self, frame: Event) -> None:
        match frame:
            case Event("exit", (code,)):
                self.exit_code = int(code)
            case Event("signal", (number,)):
                self.signal = int(number)
            case Event("timeout"):
                self.timeout = True
            case Event("stopped"):
                self.stopped = True

    def _keep(self, data: bytes) -> None:
        if self._size < OUTPUT_MAX:
            self._output.append(data)
        elif self._size - len(data) < OUTPUT_MAX:
            self._output.append(b"# lab: more output was not kept\n")
        self._size += len(data)

    def text(self) -> str:
        return b"".join(self._output).decode(errors="replace")

    def result(self, guest: Wired, ended: Ended, detail: str, seconds: float) -> RawResult:
        return RawResult(
            ended=ended,
            detail=detail,
            exit_code=self.exit_code,
            signal=self.signal,
            stopped=self.stopped,
            ktap=self.text(),
            events=tuple(self.events),
            console=guest.log.path,
            console_from=after_marker(guest.log.path, channel.MARKER),
            console_to=guest.log.size if guest.console_to is None else guest.console_to,
            unmount=self.unmount,
            left=tuple(self.left),
            seconds=seconds,
            argv=guest.argv,
            qemu_exit=guest.child.poll(),
            qemu_stderr=guest.stderr,
        )
