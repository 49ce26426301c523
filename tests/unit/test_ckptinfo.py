"""ckptinfo on images that are whole, cut, forged and random, built with the sanitizers and the series' own header."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TREE = Path(__file__).resolve().parents[2]
HEADER = "include/uapi/linux/checkpoint.h"
HEAD, TAIL, ERROR, FILE, FNAME, PAGES = 1, 3, 4, 201, 202, 303
COMPLETE, DAMAGED, WRONG_USE = 0, 1, 2


def record(kind, payload=b""):
    payload += bytes(-len(payload) % 8)
    return struct.pack("<II", kind, 8 + len(payload)) + payload


def header(magic=0x0A1A4745424B5043):
    return record(
        HEAD, struct.pack("<QIIQQQQ72s72s", magic, 1, 62, 4096, 1, 1000, 2000, b"6.12.117", b"#1 SMP")
    )  # fmt: skip


FILE_RECORD = record(FILE, struct.pack("<IIIIQIIII", 1, 1, 3, 0x8002, 7, 0o100000, 0, 0, 0))
TAIL_RECORD = record(TAIL, struct.pack("<Q", 0x0A1A444E45504B43))
IMAGE = header() + FILE_RECORD + record(FNAME, b"/mnt/a\0") + TAIL_RECORD


def uapi_header(folder):
    """What the patches make of the header, without a kernel tree."""
    for series in ("checkpoint-core", "checkpoint-relink"):
        patches = TREE / "kernel-patches" / series
        for name in (patches / "series").read_text().split():
            subprocess.run(
                ["git", "apply", f"--include={HEADER}", str(patches / name)],
                cwd=folder,
                check=True,
                capture_output=True,
            )
    return (folder / HEADER).read_text()


@pytest.fixture(scope="module")
def ckptinfo(tmp_path_factory):
    if not shutil.which("gcc"):
        pytest.fail("gcc is not installed")
    folder = tmp_path_factory.mktemp("ckptinfo")
    text = uapi_header(folder)
    (folder / "linux").mkdir()
    (folder / "linux" / "checkpoint.h").write_text(text)
    program = folder / "ckptinfo"
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", "-isystem", str(folder), "-o", str(program),
         str(TREE / "testcases" / "tools" / "ckptinfo.c")],
        check=True,
    )  # fmt: skip

    def run(image, *options):
        done = subprocess.run([program, *options], input=image, capture_output=True, check=False, timeout=20)
        assert b"Sanitizer" not in done.stderr, done.stderr.decode()
        assert b"runtime error" not in done.stderr, done.stderr.decode()
        assert done.returncode in (COMPLETE, DAMAGED, WRONG_USE)
        return done.returncode, done.stdout.decode("ascii"), done.stderr.decode()

    return run


def test_a_complete_image_is_shown_record_by_record(ckptinfo):
    status, shown, said = ckptinfo(IMAGE)
    assert (status, said) == (COMPLETE, "")
    lines = [line.split() for line in shown.splitlines()]
    assert [line[1] for line in lines] == ["header", "file", "fname", "tail"]
    assert [int(line[0]) for line in lines] == [0, 200, 248, 264]
    assert 'release="6.12.117"' in lines[0]
    assert {"objref=1", "f_pos=7", "f_flags=0x8002", "i_mode=0100000"} <= set(lines[1])
    assert lines[2][-1] == 'name="/mnt/a"'


def test_an_image_cut_anywhere_is_damaged(ckptinfo):
    for length in range(0, len(IMAGE), 7):
        status, _, said = ckptinfo(IMAGE[:length])
        assert status == DAMAGED, length
        assert said.startswith("ckptinfo: at "), length


@pytest.mark.parametrize("length", [0, 4, 7, 9, 12, 1 << 20 | 8, 0xFFFFFFF8, 0xFFFFFFFF])
def test_a_length_that_cannot_be_ends_the_list(ckptinfo, length):
    status, shown, said = ckptinfo(header() + struct.pack("<II", FNAME, length) + bytes(64))
    assert status == DAMAGED
    assert len(shown.splitlines()) == 1
    assert "at 200: a record of type 202 cannot have" in said


@pytest.mark.parametrize("kind", [HEAD, TAIL, ERROR, FILE, PAGES, 101, 103, 105, 301, 302])
def test_a_record_too_short_for_its_type_is_not_decoded(ckptinfo, kind):
    status, shown, said = ckptinfo(header() + record(kind) + TAIL_RECORD)
    assert status == DAMAGED
    assert "has at least" in said
    assert "=" not in shown.splitlines()[1]


def test_text_without_an_end_stays_within_its_record(ckptinfo):
    status, shown, said = ckptinfo(header() + record(FNAME, b"x" * 16) + TAIL_RECORD)
    assert status == DAMAGED
    assert 'name="xxxxxxxxxxxxxxxx"' in shown
    assert "has no end" in said


def test_text_cannot_speak_to_the_terminal(ckptinfo):
    status, shown, _ = ckptinfo(header() + record(FNAME, b'\x1b[2J"\n\\\xff\0') + TAIL_RECORD)
    assert status == COMPLETE
    assert r'name="\x1b[2J\x22\x0a\x5c\xff"' in shown


def test_a_failed_checkpoint_says_why(ckptinfo):
    error = record(ERROR, struct.pack("<iI", -9, 0) + b"no\0")
    status, shown, said = ckptinfo(header() + FILE_RECORD + error, "-e")
    assert status == DAMAGED
    assert 'err=-9 text="no"' in shown
    assert len(shown.splitlines()) == 1
    assert "the checkpoint failed" in said


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (header(magic=1) + TAIL_RECORD, "wrong magic number"),
        (IMAGE + FILE_RECORD, "behind the tail"),
        (IMAGE + IMAGE, "behind the tail"),
        (IMAGE[200:], "not an image"),
        (header() + FILE_RECORD, "no tail"),
        (b"", "no tail"),
    ],
)
def test_what_is_wrong_is_named(ckptinfo, image, complaint):
    status, _, said = ckptinfo(image)
    assert status == DAMAGED
    assert complaint in said


def test_a_type_of_a_later_version_is_passed_over(ckptinfo):
    status, shown, _ = ckptinfo(header() + record(999, b"12345678") + TAIL_RECORD)
    assert status == COMPLETE
    assert "200 type-999 16" in shown


def test_who_shares_a_file_is_told(ckptinfo):
    fds = record(203, struct.pack("<II", 2, 0)) + b"".join(
        record(204, struct.pack("<iIII", fd, 1, 0, 0)) for fd in (3, 7)
    )
    status, shown, _ = ckptinfo(header() + FILE_RECORD + record(FNAME, b"/mnt/a\0") + fds + TAIL_RECORD, "-o")
    assert status == COMPLETE
    assert '     1  200         "/mnt/a": fd 3 fd 7' in shown.splitlines()


def test_a_file_that_nobody_holds_is_told(ckptinfo):
    _, shown, _ = ckptinfo(IMAGE, "-o")
    assert shown.splitlines()[-1].endswith('"/mnt/a": nobody')


def test_wrong_use(ckptinfo):
    assert ckptinfo(b"", "-x")[0] == WRONG_USE
    assert ckptinfo(b"", "a", "b")[0] == WRONG_USE
    assert ckptinfo(b"", "/there/is/no/such/image")[0] == WRONG_USE


KINDS = (HEAD, 2, TAIL, ERROR, 101, 102, 104, 105, FILE, FNAME, 203, 204, 205, 301, 302, PAGES)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(KINDS)), noise=st.binary(max_size=800), start=st.sampled_from([b"", header()])
)  # fmt: skip
def test_no_bytes_break_it(ckptinfo, kinds, noise, start):
    cut = len(noise) // (len(kinds) + 1)
    records = b"".join(record(kind, noise[i * cut : (i + 1) * cut]) for i, kind in enumerate(kinds))
    ckptinfo(start + records + noise, "-o")
