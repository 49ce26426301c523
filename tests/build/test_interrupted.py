"""Builds that are stopped, and builds that meet: nothing goes on, nothing half written counts as done."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import compiled

from harness.kernel.tree import JUST_BEFORE_THE_END, unfinished

ROOT = Path(__file__).parents[2]

LAB = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}, {root!r}]
from conftest import Workspace
from harness.cache import Cache
def tell(step):
    print(step.stage, step.note, flush=True)
toy = Workspace(Path({workspace!r}), Cache(Path({cache!r})))
toy.seen = type("Seen", (), {{"append": staticmethod(tell)}})()
kernel = toy.build(options={options!r})
print("cached" if kernel.cached else "built", flush=True)
"""


def lab(toy, *options):
    """A lab of its own that builds the toy."""
    program = LAB.format(
        here=str(Path(__file__).parent), root=str(ROOT), workspace=str(toy.root), cache=str(toy.cache.root),
        options=options,
    )  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(child, text, stream="stdout"):
    for line in getattr(child, stream):
        if text in line:
            return
    pytest.fail(f"the lab ended without saying {text!r}: {child.stderr.read()}")


def sleepers():
    """Processes of the toy's slow recipe, anywhere on this host."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == b"sleep\x0031.4\x00":
                found.append(folder.name)
        except OSError:
            continue
    return found


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_a_build_that_was_stopped_ends_at_once_and_is_taken_up_again(toy, how):
    mine = set(sleepers())
    with lab(toy, "CONFIG_TOY_SLOW") as child:
        until(lambda: set(sleepers()) - mine)
        stopped = time.monotonic()
        child.send_signal(how)
        child.wait(10)
    assert time.monotonic() - stopped < 3
    until(lambda: not set(sleepers()) - mine, 3)
    objects = (toy.cache.root / "trees").glob("*/linux/build/*/*.o")
    half = {f"{path.parent.name}/{path.name}" for path in objects if path.read_bytes() == b"half\n"}
    assert half
    kernel = toy.build()
    assert half <= set(compiled(kernel))
    assert kernel.vmlinux.read_bytes()[:4] == b"\x7fELF"


def test_two_labs_at_once_build_a_kernel_once(toy):
    with lab(toy) as one, lab(toy) as other:
        said = [child.communicate(timeout=60) for child in (one, other)]
    words = sorted(out.split()[-1] for out, _ in said)
    assert words == ["built", "cached"], said
    built = next(out for out, _ in said if out.split()[-1] == "built")
    assert built.count("make init/main.o") == 1


def test_a_second_kernel_waits_for_the_tree_and_says_so(toy):
    mine = set(sleepers())
    with lab(toy, "CONFIG_TOY_SLOW") as first:
        until(lambda: set(sleepers()) - mine)
        with lab(toy) as second:
            wait_for(second, "wait another lab builds in this tree")
            first.send_signal(signal.SIGINT)
            first.wait(10)
            wait_for(second, "built")
    until(lambda: not set(sleepers()) - mine, 3)


def test_a_checkout_that_was_killed_is_made_good(toy):
    toy.patch(1, "fs: new file", {"fs/new.c": (None, "int toy_new;\n")})
    toy.build()
    [tree] = (toy.cache.root / "trees").glob("*/linux")
    (tree / "fs" / "new.c").write_text("half")
    (tree / "fs" / "other.c").write_text("of a state that was never finished")
    (tree / "fs" / "namei.c").write_text("#error changed behind the lab's back\n")
    (tree.parent / "switching").touch()
    (tree.parent / "index.lock").touch()
    assert "fs/namei.o" in compiled(toy.build("core"))
    assert not (tree / "fs" / "other.c").exists()
    assert (tree / "fs" / "new.c").read_text() == "int toy_new;\n"
    assert (tree / "build" / "vmlinux").exists()


def record(folder, name, age, record_age=None, content="savedcmd_x := true\n"):
    """A made file ``age`` seconds old and its .cmd, as old as it or ``record_age``."""
    now = time.time()
    path = folder / name
    path.write_text("")
    os.utime(path, (now - age, now - age))
    command = folder / f".{name}.cmd"
    command.write_text(content)
    at = now - (age if record_age is None else record_age)
    os.utime(command, (at, at))


def test_what_a_killed_build_left_is_told_by_its_records(tmp_path):
    whole = "savedcmd_x := gcc -Wp,-MMD,x.d\n\nx.o: $(deps_x.o)\n\n$(deps_x.o):\n\nx.o: $(wildcard ./objtool)\n"
    record(tmp_path, "done.o", 5, 4, whole)
    record(tmp_path, "same.o", 5, 5)
    record(tmp_path, "anew.o", 1, 500, whole)
    record(tmp_path, "cut.o", 5, 5, whole[:40])
    record(tmp_path, "short.o", 5, 5, "savedcmd_x := tru")
    (tmp_path / "young").write_text("made by a rule that keeps no record")
    (tmp_path / "old").write_text("")
    long_ago = time.time() - JUST_BEFORE_THE_END - 60
    os.utime(tmp_path / "old", (long_ago, long_ago))
    (tmp_path / ".config").write_text("")
    found = {path.name for path in unfinished(tmp_path)}
    assert found == {"anew.o", ".anew.o.cmd", "cut.o", ".cut.o.cmd", "short.o", ".short.o.cmd", "young"}
