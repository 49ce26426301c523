"""Two states of a file as gcc compiles them: which functions differ, and whether the patch touched their lines."""

import subprocess

import pytest

from harness.kernel.assembly import Source, functions, untouched

BEFORE = """\
extern int say(const char *format, ...);
static inline int helper(int a)
{
\treturn say("value %d", a);
}
int first(int a)
{
\tstatic int seen;
\tseen += a;
\treturn helper(seen);
}
int second(int a)
{
\tasm volatile("1: ud2\\n\\t.word %c0\\t# bug_entry::line\\n" :: "i"(__LINE__));
\treturn say("one") + a;
}
"""


@pytest.fixture
def compiled(tmp_path):
    def compile_(text):
        (tmp_path / "a.c").write_text(text)
        argv = ["gcc", "-Os", "-S", "-fverbose-asm", "-fno-asynchronous-unwind-tables", "-o", "a.s", "a.c"]
        subprocess.run(argv, cwd=tmp_path, check=True)
        return (tmp_path / "a.s").read_text(), Source("a.c", text)

    return compile_


def lines(*numbers):
    return frozenset(("a.c", number) for number in numbers)


def names(compiled, after, removed=(), added=()):
    return [each.any.name for each in untouched(compiled(BEFORE), compiled(after), lines(*removed), lines(*added))]


def test_each_function_knows_the_lines_it_is_made_of_inlined_ones_too(compiled):
    found = functions(*compiled(BEFORE))
    assert sorted(found) == ["first", "second"]
    assert lines(2, 3, 4, 5, 6, 7, 8, 9) <= found["first"].lines
    assert ("a.c", 14) not in found["first"].lines
    assert found["second"].place == ("a.c", 12)


def test_text_that_only_moves_changes_nothing(compiled):
    moved = "int fresh;\nstatic int other(void);\n\n" + BEFORE.replace(
        "int first", 'const char *more = "more";\nint first'
    )
    assert names(compiled, moved) == []


def test_a_function_without_a_touched_line_may_not_differ(compiled):
    flag = BEFORE.replace('say("one") + a', 'say("one") - a')
    assert names(compiled, flag) == ["second"]
    assert names(compiled, flag, (15,), (15,)) == []
    [difference] = untouched(compiled(BEFORE), compiled(flag), lines(), lines())
    assert "sub" in difference.words
    assert "add" in difference.words


def test_an_inlined_line_counts_for_those_it_went_into(compiled):
    other = BEFORE.replace("value %d", "values %d")
    assert names(compiled, other) == ["first"]
    assert names(compiled, other, (4,), (4,)) == []


def test_a_function_that_gcc_gives_no_line_is_of_the_line_that_names_it():
    stub = "\t.type\t__x64_sys_thaw, @function\n__x64_sys_thaw:\n\tjmp\tsys_ni_syscall\n\t.size\t__x64_sys_thaw, .-x\n"
    before, after = ("", Source("a.c", "")), (stub, Source("a.c", "COND_SYSCALL(thaw);\nCOND_SYSCALL(freeze);\n"))
    assert list(untouched(before, after, lines(), lines(1))) == []
    assert [each.any.name for each in untouched(before, after, lines(), lines(2))] == ["__x64_sys_thaw"]


def test_a_function_that_comes_or_goes(compiled):
    assert names(compiled, BEFORE + "int third(void)\n{\n\treturn 3;\n}\n") == ["third"]
    assert names(compiled, BEFORE + "int third(void)\n{\n\treturn 3;\n}\n", added=(17, 18, 19, 20)) == []
    gone = BEFORE[: BEFORE.index("int second")]
    [difference] = untouched(compiled(BEFORE), compiled(gone), lines(), lines())
    assert (difference.any.name, difference.words) == ("second", "is gone")
