"""A build's output, as make, gcc, ld and Kconfig really wrote it."""

import pytest

from harness.kernel import makelog

COMPILER = """\
  CC      fs/namei.o
../fs/namei.c: In function 'vfs_link':
../fs/namei.c:4702:9: error: 'nowhere' undeclared (first use in this function)
 4702 |         nowhere();
      |         ^~~~~~~
../fs/namei.c:4702:9: note: each undeclared identifier is reported only once for each function it appears in
  CC      fs/open.o
make[3]: *** [../scripts/Makefile.build:229: fs/namei.o] Error 1
make[2]: *** [../scripts/Makefile.build:478: fs] Error 2
make: *** [Makefile:224: __sub-make] Error 2
"""
LINKER = """\
  LD      .tmp_vmlinux1
ld: vmlinux.o: in function `__x64_sys_checkpoint':
(.text+0x1f3a): undefined reference to `checkpoint_mm'
make[2]: *** [../scripts/Makefile.vmlinux:34: vmlinux] Error 1
"""
HEADER = """\
In file included from ../fs/namei.c:12:
../include/linux/fs.h:3:10: fatal error: linux/gone.h: No such file or directory
"""
MAKEFILE = "../fs/Makefile:12: *** missing separator.  Stop.\nmake[2]: *** [../Makefile:1934: fs] Error 2\n"
KCONFIG = "fs/Kconfig:7: syntax error\nfs/Kconfig:7: invalid statement\nmake[2]: *** [olddefconfig] Error 1\n"
ASSEMBLER = "../arch/x86/entry/x.S: Assembler messages:\n../arch/x86/entry/x.S:4: Error: no such instruction: `foo'\n"
RULE = "make[3]: *** No rule to make target 'fs/gone.o', needed by 'fs/built-in.a'.  Stop.\nmake: *** [x] Error 2\n"


@pytest.mark.parametrize(
    ("log", "first"),
    [
        (COMPILER, "fs/namei.c:4702:9: error: 'nowhere' undeclared"),
        (LINKER, "undefined reference to `checkpoint_mm'"),
        (HEADER, "include/linux/fs.h:3:10: fatal error: linux/gone.h"),
        (MAKEFILE, "fs/Makefile:12: *** missing separator."),
        (KCONFIG, "fs/Kconfig:7: syntax error"),
        (ASSEMBLER, "arch/x86/entry/x.S:4: Error: no such instruction"),
        (RULE, "No rule to make target 'fs/gone.o'"),
    ],
    ids=["compiler", "linker", "header", "makefile", "kconfig", "assembler", "rule"],
)
def test_the_first_error_is_the_one_that_tells(log, first):
    assert first in makelog.first_error(log.splitlines())


def test_the_quotation_and_the_function_come_with_it():
    said = makelog.first_error(COMPILER.splitlines()).splitlines()
    assert said[0] == "fs/namei.c: In function 'vfs_link':"
    assert said[-2:] == [" 4702 |         nowhere();", "      |         ^~~~~~~"]
    assert "__x64_sys_checkpoint" in makelog.first_error(LINKER.splitlines())


def test_an_error_in_another_files_wake_does_not_hide_it():
    assert "nowhere" in makelog.first_error((RULE + COMPILER).splitlines())


def test_warnings_are_no_errors():
    log = "../fs/namei.c:1:1: warning: unused variable 'error' [-Wunused-variable]\nld: warning: x has a LOAD segment\n"
    assert makelog.first_error(log.splitlines()) == ""


def test_objects_are_counted_not_headers():
    lines = ["  CC      fs/namei.o", "  AS      arch/x86/entry/entry_64.o", "  CC [M]  fs/fat/fat.o"]
    assert [makelog.made(line) for line in lines] == ["fs/namei.o", "arch/x86/entry/entry_64.o", "fs/fat/fat.o"]
    others = [
        "  HDRINST usr/include/linux/fs.h",
        "  UPD     include/config/kernel.release",
        "cc -o x.o",
        "  CC      x.o y",
    ]
    assert [makelog.made(line) for line in others] == [None] * 4


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("fs/namei.c:1:1: fatal error: error writing to /x/fs/namei.o: No space left on device", "the disk is full"),
        ("gcc: fatal error: Killed signal terminated program cc1", "the host killed the compiler"),
        ("cc1: out of memory allocating 65536 bytes after a total of 1 bytes", "no memory left"),
    ],
)
def test_the_host_is_blamed_for_what_is_its_fault(line, meaning):
    assert makelog.host_fault([line]).startswith(meaning)


def test_the_host_is_not_blamed_for_what_a_source_line_says():
    quoted = ['  12 |   pr_err("No space left on device");', "fs/a.c:1:1: warning: unused 'out of memory' here"]
    assert makelog.host_fault(quoted) is None
