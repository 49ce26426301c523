"""Line counters from what a guest prints to lines that cases ran: by the real compiler's and gcov's own files."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.review import coverage, origins

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """\
int dec(int a)
{
	if (a > 5)
		return a - 1;
	return 0;
}

int main(int argc, char **argv)
{
	return dec(argc) ? 1 : 0;
}
"""


@pytest.fixture
def kernel(tmp_path):
    """A program compiled as a kernel's file is, run once: its notes in the kernel's folder, its counters beside it."""
    build = tmp_path / "trees" / "x" / "linux" / "build"
    (build / "fs").mkdir(parents=True)
    (build.parent / "fs").mkdir()
    (build.parent / "fs" / "a.c").write_text(SOURCE)
    subprocess.run(["gcc", "--coverage", "-c", "-o", "fs/a.o", "../fs/a.c"], cwd=build, check=True)
    subprocess.run(["gcc", "--coverage", "-o", "a", "fs/a.o"], cwd=build, check=True)
    subprocess.run(["./a"], cwd=build, check=True)
    notes = tmp_path / "kernel" / "notes"
    (notes / "fs").mkdir(parents=True)
    (build / "fs" / "a.gcno").rename(notes / "fs" / "a.gcno")
    return SimpleNamespace(notes=notes, build=build)


@pytest.fixture
def program(tmp_path, kernel):
    """The guest's program, with another place for debugfs."""
    counters = tmp_path / "debugfs"
    place = counters / str(kernel.build).lstrip("/") / "fs"
    place.mkdir(parents=True)
    (place / "a.gcda").write_bytes((kernel.build / "fs" / "a.gcda").read_bytes())
    (place / "a.gcno").symlink_to(kernel.notes / "fs" / "a.gcno")
    (counters / "reset").write_text("")
    made = tmp_path / "gcov"
    argv = ["gcc", "-Wall", "-Werror", f'-DCOUNTERS="{counters}"', "-o", made, ROOT / "testcases" / "tools" / "gcov.c"]
    subprocess.run(argv, check=True)

    def run(*words, code=0):
        done = subprocess.run([made, *words], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    run.counters = counters
    return run


def counted(kernel, output):
    return {(name, line): (count, function) for name, line, count, function in coverage._counted(kernel, output)}


def test_what_the_guest_prints_becomes_lines_and_counts(kernel, program):
    found = counted(kernel, program("-t", "read"))
    assert found["fs/a.c", 3] == (1, "dec")
    assert found["fs/a.c", 4] == (0, "dec")
    assert found["fs/a.c", 5] == (1, "dec")
    assert found["fs/a.c", 10] == (1, "main")
    assert ("fs/a.c", 7) not in found


def test_a_file_larger_than_a_line(program):
    data = os.urandom(2400 * 3 + 7)
    (program.counters / "b.gcda").write_bytes(data)
    said = program("-t", "read").partition("gcov begin /b.gcda\n")[2].partition("gcov end\n")[0]
    assert coverage._decoded(said.splitlines()) == data
    assert max(map(len, said.splitlines())) <= 4000


def test_reset_and_nothing_and_misuse(program):
    assert program("-t", "reset") == program("-t", "nothing") == ""
    assert (program.counters / "reset").read_text() == "1"
    program("-t", "other", code=2)
    program(code=2)


def test_a_guest_cannot_have_files_written_elsewhere(kernel, tmp_path):
    evil = "gcov begin /x/build/../../../../evil.gcda\nAAAA\ngcov end\n"
    for text in (
        evil,
        evil.replace("build/..", "build//etc"),
        "gcov begin /build/fs/a.gcda\n!!\ngcov end\n",
        "gcov end\n",
    ):
        assert counted(kernel, text) == {} or all(count == 0 for count, _ in counted(kernel, text).values())
    assert not list(tmp_path.rglob("evil*"))


def test_a_line_that_everybody_runs_is_nobodys():
    tally = coverage._Tally()
    tally.add("", [("a.c", 1, 5, "f"), ("a.c", 2, 0, "f"), ("a.c", 3, 2, "g")])
    tally.add("s/one", [("a.c", 1, 5, "f"), ("a.c", 2, 1, "f"), ("a.c", 3, 9, "g")])
    tally.add("s/two", [("a.c", 1, 4, "f"), ("a.c", 2, 0, "f"), ("a.c", 3, 2, "g")])
    assert {place[1]: list(cases) for place, cases in tally.ran.items()} == {
        1: [coverage.EVERYBODY], 2: ["s/one"], 3: [coverage.EVERYBODY, "s/one"],
    }  # fmt: skip


def test_lines_are_their_patches_own_wherever_they_moved():
    first, second = "1" * 40, "2" * 40
    said = (
        f"{first} 7 9 1\nauthor x\nboundary\nfilename fs/a.c\n\tint a;\n"
        f"{second} 10 10 2\nauthor x\nfilename fs/a.c\n\treturn;\n"
        f"{'3' * 40} 1 11 1\nauthor x\nfilename fs/a.c\n\told\n"
    )
    found = dict(origins.blamed(said, {first: 1, second: 2}))
    assert {line: (origin.patch, origin.at, origin.text) for line, origin in found.items()} == {
        9: (1, 7, "int a;"), 10: (2, 10, "return;"),
    }  # fmt: skip
