"""What compilers and checkers said, word for word, and what the lab reads in it."""

from harness.kernel import findings
from harness.kernel.findings import Finding

GCC = """\
  CC      fs/namei.o
../fs/namei.c: In function \u2018do_linkat\u2019:
../fs/namei.c:4690:13: warning: unused variable \u2018left\u2019 [-Wunused-variable]
 4690 |         int left;
      |             ^~~~
In file included from ../fs/namei.c:21:
../include/linux/fs.h:12:3: warning: \u2018old\u2019 is deprecated [-Wdeprecated-declarations]
../fs/namei.c:4700:9: error: \u2018nowhere\u2019 undeclared (first use in this function)
../fs/namei.c:99: warning: Function parameter or struct member 'how' not described in 'vfs_link'
fs/namei.o: warning: objtool: do_linkat+0x12: unreachable instruction
make[4]: *** No rule to make target 'fs/nfs/dir.o'.  Stop.
"""

SPARSE = """\
  CHECK   ../fs/namei.c
../fs/namei.c:812:9: warning: incorrect type in assignment (different address spaces)
../fs/namei.c:812:9:    expected char const *name
../fs/namei.c:812:9:    got char const [noderef] __user *name
../fs/namei.c:900:5: warning: symbol 'path_count' was not declared. Should it be static?
"""

CHECKPATCH = """\
:7: WARNING:COMMIT_LOG_LONG_LINE: Prefer a maximum 75 chars per line (possible unwrapped commit description?)
kernel/ckpt.c:341: WARNING:FILE_PATH_CHANGES: added, moved or deleted file(s), does MAINTAINERS need updating?
fs/namei.c:4690: CHECK:PARENTHESIS_ALIGNMENT: Alignment should match open parenthesis
fs/namei.c:4691: ERROR:SPACING: space required before the open parenthesis '('
"""


def test_gcc_kernel_doc_and_objtool():
    found = findings.compiler(GCC.splitlines())
    assert [(each.file, each.line, each.grade, each.kind) for each in found] == [
        ("fs/namei.c", 4690, "warning", "-Wunused-variable"),
        ("include/linux/fs.h", 12, "warning", "-Wdeprecated-declarations"),
        ("fs/namei.c", 4700, "error", ""),
        ("fs/namei.c", 99, "warning", ""),
        ("fs/namei.o", 0, "warning", ""),
    ]
    assert found[0].shown == "fs/namei.c:4690: warning: unused variable \u2018left\u2019 [-Wunused-variable]"
    assert found[4].text == "objtool: do_linkat+0x12: unreachable instruction"


def test_sparse_one_finding_a_complaint_told_from_those_of_gcc():
    found = findings.sparse([*GCC.splitlines(), *SPARSE.splitlines()])
    assert findings.compiler(SPARSE.splitlines()) == ()
    assert [each.line for each in found] == [812, 900]
    assert found[1].text == "symbol 'path_count' was not declared. Should it be static?"


def test_checkpatch_in_a_file_and_in_the_message():
    found = findings.checkpatch(CHECKPATCH, "0001-a.patch")
    assert [(each.file, each.line, each.grade, each.kind) for each in found] == [
        ("0001-a.patch", 0, "warning", "COMMIT_LOG_LONG_LINE"),
        ("kernel/ckpt.c", 341, "warning", "FILE_PATH_CHANGES"),
        ("fs/namei.c", 4690, "check", "PARENTHESIS_ALIGNMENT"),
        ("fs/namei.c", 4691, "error", "SPACING"),
    ]
    assert findings.checkpatch("total: 0 errors\n", "0001-a.patch") == ()


def finding(line, text, file="fs/a.c"):
    return Finding(file, line, "warning", "-Wx", text)


def test_what_only_moved_is_not_new_a_second_one_of_a_kind_is():
    before = [finding(10, "one"), finding(20, "two")]
    after = [finding(15, "one"), finding(16, "one"), finding(25, "two"), finding(3, "one", "fs/b.c")]
    assert findings.added(before, after) == (finding(16, "one"), finding(3, "one", "fs/b.c"))
    assert findings.added(after, before) == ()


def test_objects_that_the_configuration_has_not():
    assert findings.not_built(GCC.splitlines()) == ("fs/nfs/dir.o",)
