"""Builds of a toy kernel by the real make: what is built, what is not, and what each mistake is told as."""

import pytest
from conftest import compiled

from harness.cache import Cache
from harness.errors import BuildError, DeclarationError, UserError
from harness.kernel.build import build

LINK = {"fs/namei.c": ("return -2;", "return 7;")}


def test_a_cold_build_makes_a_kernel_with_all_that_belongs_to_it(toy):
    kernel = toy.build()
    assert not kernel.cached
    assert kernel.label == "6.99.1"
    assert kernel.release == "6.99.1"
    assert kernel.vmlinux.read_bytes()[:4] == b"\x7fELF"
    assert "start_kernel" in kernel.system_map.read_text()
    assert b"toy_unlink" in kernel.symbols.read_bytes()
    assert b"toy_unlink" not in kernel.vmlinux.read_bytes()
    assert "CONFIG_TOY_NAMES=y" in kernel.config.read_text()
    assert [path.name for path in kernel.headers.rglob("*") if path.is_file()] == ["toy.h"]
    assert compiled(kernel) == ["fs/namei.o", "init/main.o", "lib/string.o"]
    assert kernel.facts.source.sha256
    assert kernel.facts.source.version == "6.99.1"
    assert [step.done for step in toy.seen if step.stage == "make"][-1] == 3


def test_the_second_time_nothing_is_built(toy):
    first = toy.build()
    toy.seen.clear()
    second = toy.build()
    assert second.cached
    assert second.key == first.key
    assert toy.seen == []


def test_a_patch_rebuilds_only_what_it_touches(toy):
    toy.build()
    toy.patch(1, "fs: link", LINK)
    kernel = toy.build("core")
    assert kernel.label == "6.99.1 + core"
    assert compiled(kernel) == ["fs/namei.o"]
    assert kernel.facts.patches == ("core/0001-fs:-link.patch",)


def test_a_patch_of_code_alone_configures_nothing(toy):
    plain = toy.build()
    toy.patch(1, "fs: link", LINK | {"fs/Makefile": (None, "# objects\n"), "MAINTAINERS": (None, "someone\n")})
    kernel = toy.build("core")
    assert toy.notes("config") == [plain.label]
    assert kernel.config.read_bytes() == plain.config.read_bytes()


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("Kconfig", ("config TOY_HIDDEN\n\tbool\n", 'config TOY_HIDDEN\n\tbool "h"\n\tdefault y\n')),
        ("Makefile", ("@echo CONFIG_TOY=y > .config", "@echo CONFIG_TOY=y > .config # as before")),
        ("scripts/helper.c", (None, "int asked;\n")),
        ("arch/x86/Makefile", (None, "export SOMETHING\n")),
    ],
)
def test_a_patch_that_kconfig_may_hear_of_has_the_kernel_configured_again(toy, file, edit):
    plain = toy.build()
    toy.patch(1, "toy: change", {file: edit})
    assert toy.build("core").label in toy.notes("config")[1:]
    assert toy.notes("config")[0] == plain.label


def test_a_configuration_that_is_not_as_it_came_out_is_made_again(toy):
    plain = toy.build()
    toy.patch(1, "fs: link", LINK)
    [config] = (toy.cache.root / "trees").glob("*/linux/build/.config")
    config.write_text("CONFIG_TOY_SLOW=y\n")
    kernel = toy.build("core")
    assert kernel.config.read_bytes() == plain.config.read_bytes()
    assert toy.notes("config") == [plain.label, kernel.label]


def test_what_another_state_asked_for_is_not_left_in_the_configuration(toy):
    toy.patch(1, "fs: link", LINK)
    toy.build(options=("CONFIG_TOY_ABSENT",))
    kernel = toy.build("core")
    assert "TOY_ABSENT" not in kernel.config.read_text()
    assert len(toy.notes("config")) == 2


def test_back_to_a_state_built_before_costs_nothing_and_the_tree_follows(toy):
    toy.patch(1, "fs: link", LINK)
    toy.patch(2, "fs: new file", {"fs/new.c": (None, "int toy_new;\n")})
    tip, first = toy.build("core"), toy.build("core", at=1)
    assert first.label == "6.99.1 + core[1-1]"
    assert toy.build("core").cached
    assert toy.build("core").key == tip.key
    [tree] = (toy.cache.root / "trees").glob("*/linux")
    assert not (tree / "fs" / "new.c").exists()
    assert "return 7" in (tree / "fs" / "namei.c").read_text()


def test_the_same_key_has_the_same_bytes(toy, tmp_path):
    toy.patch(1, "fs: link", LINK)
    direct = toy.build("core")
    toy.cache = Cache(tmp_path / "another" / "deeper" / "cache")
    toy.cache.root.mkdir(parents=True)
    toy.build()
    by_way_of_the_base = toy.build("core")
    assert by_way_of_the_base.key == direct.key
    assert by_way_of_the_base.vmlinux.read_bytes() == direct.vmlinux.read_bytes()
    assert by_way_of_the_base.config.read_bytes() == direct.config.read_bytes()


def test_a_better_commit_message_builds_nothing(toy):
    patch = toy.patch(1, "fs: link", LINK)
    toy.build("core")
    patch.write_text(patch.read_text().replace("Why.", "Why, in many more words."))
    assert toy.build("core").cached


def test_a_fragment_with_another_comment_builds_nothing_another_option_does(toy):
    toy.build()
    toy.write("kernel-patches/config/guest.config", "# another reason\nCONFIG_TOY_NAMES=y\n")
    assert toy.build().cached
    toy.write("kernel-patches/config/guest.config", "CONFIG_TOY_NAMES=y\nCONFIG_TOY_ABSENT=y\n")
    assert not toy.build().cached


def test_a_patch_that_does_not_compile_shows_the_compilers_first_error(toy):
    toy.patch(1, "fs: broken", {"fs/namei.c": ("return -2;", "return nowhere;")})
    with pytest.raises(BuildError) as caught:
        toy.build("core")
    assert caught.value.message == "6.99.1 + core does not compile"
    assert caught.value.first_error.splitlines()[1].startswith("fs/namei.c:10:")
    assert "error: \N{LEFT SINGLE QUOTATION MARK}nowhere" in caught.value.first_error
    assert "return nowhere;" in caught.value.first_error
    assert "nowhere" in caught.value.log.read_text()
    assert [path for path in (toy.cache.root / "kernels").iterdir() if path.is_dir()] == []
    assert "fs/namei.o" in compiled(toy.build())


def test_a_linker_error_is_shown(toy):
    toy.patch(1, "fs: undefined", {"fs/namei.c": ("return -2;", "return toy_length_of_nothing();")})
    with pytest.raises(BuildError) as caught:
        toy.build("core")
    first = caught.value.first_error
    assert "toy_length_of_nothing" in first
    assert "fs/namei.c" in first or "undefined reference" in first


def test_a_makefile_that_is_broken_is_shown(toy):
    toy.patch(1, "toy: broken Makefile", {"Makefile": ("OBJECTS := init/main.o", "OBJECTS := init/gone.o")})
    with pytest.raises(BuildError) as caught:
        toy.build("core")
    assert "No rule to make target 'init/gone.c'" in caught.value.first_error


def test_an_option_that_does_not_survive_is_an_error_that_says_why(toy):
    fragment = toy.write("kernel-patches/config/blocked.config", "\nCONFIG_TOY_BLOCKED=y\nCONFIG_TOY_NAME=y\n")
    with pytest.raises(UserError) as caught:
        toy.build(fragments=["blocked"])
    text = caught.value.message
    assert f"{fragment}:2: asked for CONFIG_TOY_BLOCKED=y, it is not set: it depends on TOY_ABSENT" in text
    assert "CONFIG_TOY_ABSENT is off" in text
    assert f"{fragment}:3: asked for CONFIG_TOY_NAME=y" in text
    assert "no such option, did you mean CONFIG_TOY_NAMES?" in text
    with pytest.raises(UserError, match=r"option: asked for CONFIG_TOY_HIDDEN=y.*only another option selects it"):
        toy.build(options=["CONFIG_TOY_HIDDEN"])


def test_a_series_own_option_must_come_out_at_its_tip_not_before(toy):
    toy.patch(1, "fs: link", LINK)
    toy.patch(2, "toy: option", {"Kconfig": ("config TOY_HIDDEN\n\tbool\n", 'config TOY_HIDDEN\n\tbool "seen"\n')})
    toy.write("kernel-patches/core/series.config", "CONFIG_TOY_HIDDEN=y\n")
    assert "TOY_HIDDEN" not in toy.build("core", at=1).config.read_text()
    assert "CONFIG_TOY_HIDDEN=y" in toy.build("core").config.read_text()
    toy.write("kernel-patches/core/series.config", "CONFIG_TOY_NOWHERE=y\n")
    assert toy.build("core", at=1)
    with pytest.raises(UserError, match=r"series\.config:1: asked for CONFIG_TOY_NOWHERE=y"):
        toy.build("core")


def test_what_one_fragment_takes_from_another_is_on_record(toy):
    toy.write("kernel-patches/config/less.config", "# CONFIG_TOY_NAMES is not set\n")
    kernel = toy.build(fragments=["less"])
    assert "TOY_NAMES" not in kernel.config.read_text()
    [line] = kernel.facts.overridden
    assert "guest.config:2: CONFIG_TOY_NAMES=y" in line
    assert "less.config:1: # CONFIG_TOY_NAMES is not set" in line


def test_a_patch_of_no_such_number_and_a_fragment_of_no_such_name(toy):
    toy.patch(1, "fs: link", LINK)
    with pytest.raises(UserError, match="core has no patch 2: it has 1"):
        toy.build("core", at=2)
    with pytest.raises(UserError, match="there is no fragment 'kasn'"):
        toy.build(fragments=["kasn"])


def test_a_fragment_line_that_kconfig_would_ignore_is_an_error(toy):
    toy.write("kernel-patches/config/guest.config", "CONFIG_TOY_NAMES = y\n")
    with pytest.raises(DeclarationError, match=r"guest.config:1: 'CONFIG_TOY_NAMES = y' is not understood"):
        toy.build()


def test_a_build_of_strangers_shares_nothing_that_a_makefile_can_write(toy):
    toy.patch(1, "fs: link", LINK)
    toy.build()
    before = set((toy.cache.root / "trees").iterdir())
    kernel = build(toy.request([("core", None)], quarantine="mail"), toy.cache, jobs=2)
    assert compiled(kernel) == ["fs/namei.o"]  # the rest is a copy
    assert len(set((toy.cache.root / "trees").iterdir()) - before) == 2  # the tree and its lock
