"""Splats: every file of tests/data/consoles is scanned and must give exactly the complaints that its head names.

A file begins with ``#: where the text is from`` and one line ``#= kind | title | line | count`` per complaint; the
console is what follows. To add one, save the console, write down what a person sees in it, and run this.
"""

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdict.splat import ROWS, match, scan, strip

CONSOLES = sorted((Path(__file__).resolve().parents[1] / "data" / "consoles").glob("*.txt"))


def read(path):
    lines = path.read_text().split("\n")
    head = [line for line in lines if line.startswith(("#:", "#="))]
    wanted = [tuple(line[2:].strip().rsplit(" | ", 2)) for line in head if line.startswith("#=")]
    return wanted, "\n".join(lines[len(head) :])


def console(name):
    return read(next(path for path in CONSOLES if path.stem == name))[1]


@pytest.mark.parametrize("path", CONSOLES, ids=lambda path: path.stem)
def test_a_console_has_the_complaints_its_head_names(path):
    wanted, text = read(path)
    found = [(f"{splat.kind} | {splat.title}", str(splat.line), str(splat.count)) for splat in scan(text)]
    assert found == wanted
    for splat in scan(text):
        assert strip(text.split("\n")[splat.line - 1]) == splat.excerpt[0] or splat.excerpt[0].startswith("----")


def test_there_are_consoles_with_and_without_complaints():
    assert len(CONSOLES) > 15
    assert any(not read(path)[0] for path in CONSOLES)


def test_every_row_says_why_and_is_tried_by_a_console():
    assert all(row.why and row.title for row in ROWS)
    lines = {strip(line) for path in CONSOLES for line in read(path)[1].split("\n")}
    tried = {ROWS.index(row) for line in lines if (row := match(line))}
    untried = [ROWS[index].title for index in range(len(ROWS)) if index not in tried]
    assert not untried


def disturbed(text, seed):
    """The same complaint as another run prints it: other addresses, tasks, cpus, times, offsets and lines."""
    dice = random.Random(seed)

    def other_hex(found):
        return "".join(dice.choice("0123456789abcdef") for _ in found.group(0))

    text = re.sub(r"(?<=ffff)[0-9a-f]{12}\b", other_hex, text)
    text = re.sub(r"\+0x[0-9a-f]+", lambda _: f"+0x{dice.randrange(1, 4096):x}", text)
    text = re.sub(r"(CPU: |PID: |CPU#|cpu )\d+", lambda m: f"{m.group(1)}{dice.randrange(1, 999)}", text)
    text = re.sub(r"\[ *\d+\.\d+\]", lambda _: f"[{dice.randrange(1, 9999):5}.{dice.randrange(10**6):06}]", text)
    return re.sub(r"(\.[ch]):\d+", lambda m: f"{m.group(1)}:{dice.randrange(1, 9999)}", text)


@pytest.mark.parametrize("path", CONSOLES, ids=lambda path: path.stem)
def test_fingerprints_survive_what_differs_between_runs(path):
    text = read(path)[1]
    before = [splat.fingerprint for splat in scan(text)]
    for seed in range(3):
        assert [splat.fingerprint for splat in scan(disturbed(text, seed))] == before


def test_different_places_have_different_fingerprints():
    text = console("kasan-use-after-free")
    (one,), (other,) = scan(text), scan(text.replace("__ext4_link", "ext4_rename"))
    assert one.title == other.title
    assert one.fingerprint != other.fingerprint


def test_an_excerpt_ends_with_its_trace():
    (bug,) = scan(console("lkdtm-bug"))
    assert bug.excerpt[0].startswith("------------[ cut here") or "kernel BUG" in bug.excerpt[0]
    assert bug.excerpt[-1].startswith("---[ end trace")
    (deadlock,) = scan(console("lockdep-circular"))
    assert deadlock.excerpt[-1] == " </TASK>"
    assert any("DEADLOCK" in line for line in deadlock.excerpt)


@pytest.mark.parametrize(
    "prefix", ["", "<3>", "[    1.000000] ", "[    1.000000][  T101] ", "[   12.5][   C0] ", "\x1b[31m"]
)
def test_prefixes_and_colours_are_no_disguise(prefix):
    (splat,) = scan(f"{prefix}kernel BUG at fs/inode.c:417!\r\n")
    assert splat.title == "kernel BUG"


@pytest.mark.parametrize(
    "line",
    [
        "# alias: Test terminated by assertion",
        "traps: a[1] general protection fault ip:401150 sp:7ffce9c6f2d0 error:0 in a[401000+1000]",
        "a[1]: segfault at 8 ip 0000000000401136 sp 00007ffce9c6f2d0 error 4",
        "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable",
        "EXT4-fs (vda): mounted filesystem 6ad1c2f0 r/w with ordered data mode. Quota mode: none.",
        "EXT4-fs (vda): unmounting filesystem 6ad1c2f0.",
        "EXT4-fs warning (device vda): ext4_block_to_path:105: block 1 > max in inode 12",
        "BTRFS info (device vda): using crc32c (crc32c-generic) checksum algorithm",
        "XFS (vda): User initiated shutdown received.",
        "sysrq: Show Blocked State",
        "Call Trace:",
        "Comm: a Not tainted 6.12.117 #1",
        "workqueue: ext4_end_io hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
        "RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable to RETBleed attacks, data leaks possible!",
    ],
)
def test_what_is_no_complaint(line):
    assert scan(f"[    1.000000] {line}\n") == ()


@given(
    st.lists(st.sampled_from([line for path in CONSOLES for line in path.read_text().split("\n")[:60]]), max_size=80)
)
def test_any_mixture_of_lines_is_scanned(lines):
    for splat in scan("\n".join(lines)):
        assert splat.title
        assert 1 <= splat.line <= len(lines)


@given(st.text(max_size=300))
def test_any_text_is_scanned(text):
    scan(text)


@pytest.mark.parametrize(
    "text",
    [
        "BUG: " + "x" * 3_000_000,
        "Tainted: G " + " " * 2_000_000 + "x",
        "BUG: Dentry " + " still in use " * 200_000,
        "------------[ cut here ]------------\n" * 20_000,
        "BUG: KASAN: a in b\n" * 20_000,
    ],
)
def test_a_hostile_console_costs_no_time(text):
    began = time.perf_counter()
    scan(text)
    assert time.perf_counter() - began < 5
