"""The first base of the catalogue, really built, in the lab's own cache: what the toy cannot show."""

import dataclasses
import difflib
import re
import secrets
import shutil
import subprocess

import pytest
from conftest import compiled

from harness.cache import Cache
from harness.catalogue.load import load
from harness.kernel import git
from harness.kernel.build import build
from harness.kernel.request import Applied, compose
from harness.kernel.series import read_series
from harness.kernel.source import fetch
from harness.paths import cache_root, find_workspace

pytestmark = pytest.mark.build

FILE = "fs/readdir.c"


def touch(before, word):
    """A patch that adds a symbol at the end of a file."""
    after = f'{before}extern const char {word}[];\nconst char {word}[] = "x";\n'
    pair = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(*pair, f"a/{FILE}", f"b/{FILE}"))


@pytest.fixture(scope="module")
def request_of_base():
    catalogue = load(find_workspace())
    return compose(catalogue, next(iter(catalogue.bases)))


@pytest.fixture(scope="module")
def kernel(request_of_base):
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    return build(request_of_base, Cache(root))


def test_it_can_boot_without_a_bootloader(kernel):
    notes = subprocess.run(["readelf", "-n", kernel.vmlinux], capture_output=True, text=True, check=True).stdout
    # XEN_ELFNOTE_PHYS32_ENTRY: where PVH enters.
    assert re.search(r"Xen\s.*\(0x00000012\)|0x00000012", notes), notes
    assert kernel.release.startswith(kernel.facts.source.version)
    assert "+" not in kernel.release


def test_programs_compile_against_its_headers_alone(kernel, tmp_path):
    source = tmp_path / "x.c"
    source.write_text("#include <linux/fs.h>\n#include <asm/unistd.h>\nint call = __NR_openat2;\n")
    subprocess.run(["gcc", "-nostdinc", "-isystem", kernel.headers, "-c", source, "-o", tmp_path / "x.o"], check=True)
    assert not [path for path in kernel.headers.rglob("*") if path.is_file() and path.suffix != ".h"]


def test_a_patch_of_one_file_compiles_one_file(kernel, request_of_base, tmp_path):
    """Two states that nobody built before, one after the other: the second compiles what differs and links."""
    source = fetch(request_of_base.name, request_of_base.base, Cache(cache_root()), root=request_of_base.root)
    before = git.Repo(source.repo).run("cat-file", "blob", f"{source.record.tree}:{FILE}").stdout
    built = []
    for turn in ("first", "second"):
        word = f"lab_was_here_{secrets.token_hex(4)}"
        folder = tmp_path / turn
        folder.mkdir()
        (folder / "0001-touch.patch").write_text(touch(before, word))
        series = Applied("touch", read_series(folder), 1)
        built.append(build(dataclasses.replace(request_of_base, applied=(series,)), Cache(cache_root())))
        assert word in built[-1].system_map.read_text()
        assert not built[-1].cached
    objects = [name for name in compiled(built[1]) if not name.startswith("init/version")]
    for each in built:
        shutil.rmtree(each.folder)
    assert objects == [FILE.replace(".c", ".o")]
