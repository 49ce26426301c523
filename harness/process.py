"""The only door to other programs.

Every child gets a minimal environment, no standard input unless asked, a session of its own, and dies with the lab:
leaving a ``Child`` context kills its whole process group, and PR_SET_PDEATHSIG (through setpriv, or bubblewrap's
``--die-with-parent``) covers a lab that was killed itself. The signal follows the *thread* that started the child
(prctl(2)), so a child must not outlive the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from harness.errors import CommandError, InfraError, LimitError, OverdueError
from harness.guard import Limits, watched

PASSED_ON = ("PATH", "TERM", "TMPDIR", "CCACHE_DIR", "SOURCE_DATE_EPOCH")
"""The caller's variables a child may see: nothing that changes what a compiler or a test does."""

PACKAGE_OF = {
    "qemu-system-x86_64": "qemu-system-x86",
    "bwrap": "bubblewrap",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "xfs_repair": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "btrfs": "btrfs-progs",
    "mkfs.f2fs": "f2fs-tools",
    "fsck.f2fs": "f2fs-tools",
    "mkfs.vfat": "dosfstools",
    "fsck.vfat": "dosfstools",
    "dpkg-deb": "dpkg",
    "busybox": "busybox-static",
}


PIPE = subprocess.PIPE
"""For ``start``: a stream the caller reads or writes."""


@dataclass(frozen=True)
class Sandbox:
    """What a child may touch: the system read-only, ``writable`` folders, no home, no network.

    ``writable`` folders must exist. ``readable`` are folders under a hidden place (a home, /tmp) that it may read.
    ``devices`` are device nodes it may open (/dev/kvm).
    """

    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    network: bool = False


@dataclass
class Child:
    """A running program. ``argv`` is what was asked for, without the wrapper that guards it."""

    argv: tuple[str, ...]
    popen: subprocess.Popen[bytes]
    leash: int = -1
    _gone: bool = field(default=False, repr=False)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def poll(self) -> int | None:
        return self.popen.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self.popen.wait(timeout)

    def kill(self) -> None:
        """End the whole process group at once and collect it."""
        if self._gone:
            return
        self._gone = True
        os.close(self.leash)  # first: what its guard has only begun to start sees that
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()
        with _live_lock:
            _live.pop(self.popen.pid, None)


def family(pid: int) -> list[int]:
    """A process and all below it, as far as they are still there."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{found[-1]}/task").iterdir():
                todo += [int(child) for child in (thread / "children").read_text().split()]
    return found


def starved(pid: int) -> dict[int, float]:
    """For each thread of a program and of those below it, the seconds in which it wanted a processor and had none.

    Empty where the host does not tell (no schedstat).
    """
    waited = {}
    for each in family(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for thread in Path(f"/proc/{each}/task").iterdir():
                waited[int(thread.name)] = int((thread / "schedstat").read_text().split()[1]) / 1e9
    return waited


@dataclass(frozen=True)
class Completed:
    """What a finished program left: exit code (negative: signal) and both streams as text."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.returncode == 0


_live: dict[int, object] = {}
_live_lock = threading.Lock()
_thread = threading.local()


def enlist(crew: object) -> None:
    """Count the children that this thread starts from now on to a crew, which can be ended apart from all others."""
    _thread.crew = crew


def kill_all(crew: object = None) -> None:
    """End every child of every thread, or of a crew's: what Ctrl-C does first, so that no QEMU and no make goes on."""
    with _live_lock:
        pids = [pid for pid, own in _live.items() if crew is None or own is crew]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


@cache
def find(program: str) -> str | None:
    """Path of a program, or None. Looks in the sbin folders too: mkfs tools are there and users' PATH often is not."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(program, path=path)


def require(program: str) -> str:
    """Path of a program.

    Raises InfraError with the Debian package that has it.
    """
    found = find(program)
    if found is None:
        package = PACKAGE_OF.get(program, program)
        raise InfraError(f"{program} is not installed", hint=f"apt-get install {package}   (`lab doctor` lists all)")
    return found


@cache
def sandbox_works() -> bool:
    """Whether bubblewrap can make its namespaces here (containers often forbid it)."""
    bwrap = find("bwrap")
    if bwrap is None:
        return False
    probe = subprocess.run(
        [bwrap, *POWERLESS, "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "true"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    return probe.returncode == 0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment a child sees."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env.setdefault("PATH", os.defpath)
    env["LC_ALL"] = "C.UTF-8"
    return env | dict(extra or {})


POWERLESS = ("--cap-drop", "ALL")
"""Of a lab that root runs bubblewrap takes nothing away, and who may mount makes what is read-only writable again."""


def _bwrap(sandbox: Sandbox) -> list[str]:
    hidden = [path for path in ("/home", "/root", "/tmp", "/var/tmp", "/run") if Path(path).is_dir()]
    argv = [require("bwrap"), "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    argv += POWERLESS
    argv += [] if sandbox.network else ["--unshare-net"]
    argv += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for place in hidden:
        argv += ["--tmpfs", place]
    bound = (("--ro-bind", sandbox.readable), ("--bind", sandbox.writable), ("--dev-bind-try", sandbox.devices))
    for how, paths in bound:
        for path in paths:
            argv += [how, os.fspath(path), os.fspath(path)]
    return [*argv, "--"]


ORPHAN = '[ "$PPID" = "$0" ] || exit 137; exec "$@"'
"""A parent that died before its death was asked for is never told of: who has another one by now ends itself."""
LEASH = 'dd iflag=nonblock count=1 <"/proc/self/fd/$0" >/dev/null 2>&1 && exit 137; exec "$@"'
"""The same in a sandbox, where no parent is seen: a pipe is at its end when the lab is gone, or wants no more of it."""


def _guard(argv: Sequence[str], sandbox: Sandbox | None, leash: int) -> list[str]:
    if sandbox is not None and sandbox_works():
        return [*_bwrap(sandbox), "/bin/sh", "-c", LEASH, str(leash), *argv]
    setpriv = find("setpriv")
    orphan = ["/bin/sh", "-c", ORPHAN, str(os.getpid()), *argv]
    return [setpriv, "--pdeathsig", "KILL", "--", *orphan] if setpriv else list(argv)


def foreground(argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Give the terminal to a program (a debugger) until it ends; its exit code.

    Raises InfraError when it is not installed.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's
    try:
        return subprocess.run([require(argv[0]), *argv[1:]], env=environment(env), check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def start(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    sandbox: Sandbox | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Iterator[Child]:
    """Run a program while the context lasts; its process group is killed at the end of it, however that comes.

    Raises InfraError when the program is not installed or the host cannot start it.
    """
    resolved = [require(argv[0]), *argv[1:]]
    leash_end, leash = os.pipe()
    try:
        popen = subprocess.Popen(
            _guard(resolved, sandbox, leash_end),
            cwd=cwd, env=environment(env), stdin=stdin, stdout=stdout, stderr=stderr,
            pass_fds=(*pass_fds, leash_end), start_new_session=True,
        )  # fmt: skip
    except OSError as exc:
        os.close(leash)
        raise InfraError(f"cannot start {argv[0]}: {exc.strerror}") from exc
    finally:
        os.close(leash_end)
    with _live_lock:
        _live[popen.pid] = getattr(_thread, "crew", None)
    child = Child(tuple(argv), popen, leash)
    try:
        yield child
    finally:
        child.kill()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    sandbox: Sandbox | None = None,
    input: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end and return what it said.

    Raises CommandError when ``check`` and the exit code is not 0, InfraError when it is not installed, OverdueError
    when it takes longer than ``timeout`` seconds.
    """
    pipe = subprocess.PIPE
    with start(
        argv, cwd=cwd, env=env, sandbox=sandbox, stdout=pipe, stderr=pipe,
        stdin=pipe if input is not None else subprocess.DEVNULL,
    ) as child:  # fmt: skip
        try:
            out, err = child.popen.communicate(input, timeout)
        except subprocess.TimeoutExpired as exc:
            raise OverdueError(f"{argv[0]} did not finish within {timeout:g} s") from exc
        done = Completed(
            tuple(argv), child.popen.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )
    if check and not done.ok:
        raise CommandError(done.argv, done.returncode, done.stderr or done.stdout)
    return done


def lines(
    argv: Sequence[str],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    sandbox: Sandbox | None = None,
    limits: Limits | None = None,
) -> Iterator[str]:
    """Run a program, yield each line of its output (both streams, in order) and keep them all in ``log``.

    Raises CommandError after the last line when the exit code is not 0, LimitError when a limit was passed.
    """
    last: list[str] = []
    with (
        log.open("ab", buffering=0) as sink,
        start(argv, cwd=cwd, env=env, sandbox=sandbox, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child,
        watched(child.pid, limits) as guard,
    ):
        assert child.popen.stdout is not None
        for raw in child.popen.stdout:
            guard.hear()
            sink.write(raw)
            line = raw.decode(errors="replace").rstrip("\n")
            last = [*last[-9:], line]
            yield line
        returncode = child.wait()
    if guard.passed:
        raise LimitError(tuple(argv), returncode, guard.passed)
    if returncode != 0:
        raise CommandError(tuple(argv), returncode, "\n".join(last))
