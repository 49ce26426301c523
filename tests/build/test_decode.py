"""Stack traces: file and line beside each frame, when the kernel knows them."""

import re
import subprocess

import pytest

from harness.review import decode

SOURCE = """\
static inline int inner(int *p)
{
	volatile int copy = *p;

	return copy * 3;
}
int outer(int *p)
{
	return inner(p) + 1;
}
static int twice(void) { return 0; }
int main(void) { return outer(0) + twice(); }
"""


@pytest.fixture
def kernel(tmp_path):
    """A program that knows its lines, where a kernel's files would be."""
    (tmp_path / "fs").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "fs" / "a.c").write_text(SOURCE)
    argv = ["gcc", "-g", "-O2", "-fno-ipa-icf", "-no-pie", "-o", "../vmlinux.debug", "../fs/a.c"]
    subprocess.run(argv, cwd=tmp_path / "build", check=True)
    listed = subprocess.run(["nm", "vmlinux.debug"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    lines = [line for line in listed.splitlines() if len(line.split()) == 3]
    (tmp_path / "System.map").write_text("\n".join([*lines, "0001 t again", "0002 t again"]) + "\n")
    return tmp_path


def test_a_frame_gets_its_place_and_what_was_inlined_into_what(kernel):
    trace = ["RIP: 0010:outer+0x0/0x10", "Code: 12 34", " ? again+0x1/0x2", " nowhere+0x1/0x2", " outer+0x0/0x10"]
    said = decode.lines(kernel, trace)
    assert re.fullmatch(r"RIP: 0010:outer\+0x0/0x10  \((fs/a\.c:\d, in )?fs/a\.c:9\)", said[0])
    assert said[1:4] == ("Code: 12 34", " ? again+0x1/0x2", " nowhere+0x1/0x2")
    assert said[4].endswith("fs/a.c:9)")
    within = decode.lines(kernel, [f"outer+{offset:#x}/0x10" for offset in range(8)])
    assert any(line.endswith("(fs/a.c:5, in fs/a.c:9)") for line in within)


def test_a_kernel_that_does_not_know_its_lines_leaves_them_as_they_are(kernel):
    subprocess.run(["strip", "-g", "vmlinux.debug"], cwd=kernel, check=True)
    assert decode.lines(kernel, ["outer+0x0/0x10"]) == ("outer+0x0/0x10",)
    assert decode.lines(kernel / "gone", ["outer+0x0/0x10"]) == ("outer+0x0/0x10",)
