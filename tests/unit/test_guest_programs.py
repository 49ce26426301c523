"""Programs are compiled by the real compiler, once for the same content, and fail with the first error."""

import pytest

from harness.cache import Cache
from harness.errors import BuildError
from harness.guest.programs import build_programs, compile_program, first_error


@pytest.fixture
def place(tmp_path):
    for name in ("headers/linux", "selftests", "include"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "headers" / "linux" / "new.h").write_text("#define NEW 500\n")
    (tmp_path / "selftests" / "kselftest_harness.h").write_text("#define HARNESS 1\n")
    (tmp_path / "include" / "shared.h").write_text("#define SHARED 2\n")
    (tmp_path / "own.h").write_text("#define OWN 3\n")
    (tmp_path / "a_test.c").write_text(
        '#include <linux/new.h>\n#include "kselftest_harness.h"\n#include "shared.h"\n#include "own.h"\n'
        "int main(void) { return NEW + HARNESS + SHARED + OWN; }\n"
    )
    return tmp_path


@pytest.fixture
def build(place):
    # Headers are digested once a process; every test has folders of its own.
    def build(name="a_test.c"):
        return compile_program(
            place / name, Cache(place / "cache"),
            headers=place / "headers", selftests=place / "selftests", include=(place / "include",),
        )  # fmt: skip

    return build


def test_all_four_places_of_headers_are_found(build):
    assert build().read_bytes()[:4] == b"\x7fELF"


def test_the_same_content_is_compiled_once(build):
    first = build()
    made = first.stat().st_mtime_ns
    assert build() == first
    assert first.stat().st_mtime_ns == made


def test_a_header_beside_the_source_counts(build, place):
    first = build()
    (place / "own.h").write_text("#define OWN 4\n")
    assert build() != first


def test_an_error_is_the_compilers_first(build, place):
    (place / "bad_test.c").write_text("int main(void) { return missing; }\nint other(void) { return gone; }\n")
    with pytest.raises(BuildError) as caught:
        build("bad_test.c")
    assert "bad_test.c:1:" in caught.value.first_error
    assert "missing" in caught.value.first_error


def test_what_failed_is_not_kept(build, place):
    source = place / "bad_test.c"
    source.write_text("int main(void) { return missing; }\n")
    with pytest.raises(BuildError):
        build("bad_test.c")
    source.write_text("int main(void) { return 0; }\n")
    assert build("bad_test.c").exists()


def test_the_first_bad_source_of_many_is_the_one_reported(place):
    for name in ("x", "y"):
        (place / f"{name}.c").write_text(f"int main(void) {{ return {name}_missing; }}\n")
    with pytest.raises(BuildError, match=r"x\.c"):
        build_programs(
            {"x": place / "x.c", "y": place / "y.c"}, Cache(place / "cache"),
            headers=place / "headers", selftests=place / "selftests",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("a.c: In function 'f':\na.c:3:1: error: no\na.c:4:1: error: too", "a.c:3:1: error: no"),
        ("/usr/bin/ld: a.o: undefined reference to `x'\n", "/usr/bin/ld: a.o: undefined reference to `x'"),
        ("something else\n", "something else"),
        ("", "(no output)"),
    ],
)
def test_first_error(output, expected):
    assert first_error(output) == expected
