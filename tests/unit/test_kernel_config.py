"""Kconfig fragments: read strictly, merged with the later winning, compared with what came out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DeclarationError
from harness.kernel import config
from harness.kernel.config import Option
from harness.paths import find_workspace

NAMES = st.from_regex(r"CONFIG_[A-Z0-9_]{1,8}", fullmatch=True)
VALUES = st.sampled_from(["y", "m", "n", "42", "0x1f", '"text"'])


def options(pairs, where="f.config:1", series=""):
    return tuple(Option(name, value, where, series) for name, value in pairs)


def test_every_kind_of_value_is_read_with_its_place(tmp_path):
    path = tmp_path / "x.config"
    path.write_text('# why\nCONFIG_A=y\n\n# CONFIG_B is not set\nCONFIG_C=0x10\nCONFIG_D="a b"\nCONFIG_E=-3\n')
    read = config.read_fragment(path)
    assert [(each.name, each.value, each.where) for each in read] == [
        ("CONFIG_A", "y", f"{path}:2"),
        ("CONFIG_B", "n", f"{path}:4"),
        ("CONFIG_C", "0x10", f"{path}:5"),
        ("CONFIG_D", '"a b"', f"{path}:6"),
        ("CONFIG_E", "-3", f"{path}:7"),
    ]


@pytest.mark.parametrize("line", ["CONFIG_A", "CONFIG_A = y", "FOO=y", "CONFIG_A=yes", 'CONFIG_A="open', "config_a=y"])
def test_what_kconfig_would_pass_over_is_an_error(tmp_path, line):
    path = tmp_path / "x.config"
    path.write_text(f"\n{line}\n")
    with pytest.raises(DeclarationError, match=r"x\.config:2: .* is not understood"):
        config.read_fragment(path)


def test_a_fragment_may_not_contradict_itself(tmp_path):
    path = tmp_path / "x.config"
    path.write_text("CONFIG_A=y\n# CONFIG_A is not set\n")
    with pytest.raises(DeclarationError, match=r"x.config:2: # CONFIG_A is not set, but .*x.config:1 says CONFIG_A=y"):
        config.read_fragment(path)


def test_a_fragment_is_read_again_when_its_file_is_another(tmp_path):
    path = tmp_path / "f.config"
    path.write_text("CONFIG_A=y\n")
    assert config.read_fragment(path) is config.read_fragment(path)
    path.write_text("CONFIG_LONGER=y\n")
    assert [option.name for option in config.read_fragment(path)] == ["CONFIG_LONGER"]


def test_an_option_of_a_declaration():
    assert config.read_option("CONFIG_A", "here").line == "CONFIG_A=y"
    assert config.read_option("CONFIG_A=m", "here").line == "CONFIG_A=m"
    for text in ("A", "CONFIG_A=", "", "# a comment"):
        with pytest.raises(DeclarationError):
            config.read_option(text, "here")


@given(st.lists(st.dictionaries(NAMES, VALUES), max_size=4))
def test_the_later_wins_and_the_text_says_each_once(parts):
    asked = config.merge(options(part.items()) for part in parts)
    want = {name: value for part in parts for name, value in part.items()}
    assert {each.name: each.value for each in asked.options} == want
    assert config.read_result(asked.text) == {name: value for name, value in want.items() if value != "n"}
    assert all(old.value != new.value for old, new in asked.overridden)


@given(st.dictionaries(NAMES, VALUES))
def test_what_comes_out_as_asked_is_not_missing(wanted):
    asked = config.merge([options(wanted.items())])
    assert config.compare(asked, config.read_result(asked.text)) == ()


def test_what_was_asked_stands_in_place_of_what_was_there():
    before = "# Linux\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_AB=y\n"
    asked = config.merge([options([("CONFIG_A", "n"), ("CONFIG_B", "y"), ("CONFIG_C", "m")])])
    after = config.overlay(before, asked)
    assert after == "# Linux\nCONFIG_AB=y\n# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\n"


def test_missing_wrong_and_uninvited_options_are_told_apart():
    pairs = [("CONFIG_A", "y"), ("CONFIG_B", "y"), ("CONFIG_C", "n"), ("CONFIG_D", "0x10"), ("CONFIG_E", "2")]
    asked = config.merge([options(pairs)])
    got = {"CONFIG_B": "m", "CONFIG_C": "y", "CONFIG_D": "16", "CONFIG_E": "3"}
    missing = [(each.option.name, each.got) for each in config.compare(asked, got)]
    assert missing == [("CONFIG_A", "n"), ("CONFIG_B", "m"), ("CONFIG_C", "y"), ("CONFIG_E", "3")]


def test_a_series_half_applied_is_forgiven_its_own_options_alone():
    asked = config.merge([options([("CONFIG_A", "y")]), options([("CONFIG_B", "y")], series="core")])
    assert [each.option.name for each in config.compare(asked, {}, forgiven="core")] == ["CONFIG_A"]


def test_why_an_option_cannot_be_had(tmp_path):
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs" / "Kconfig").write_text(
        'config XFS_FS\n\ttristate "XFS"\n\tdepends on BLOCK && \\\n\t\t!SMALL\n\thelp\n\t  depends on words\n\n'
        'config BLOCK\n\tbool "block"\n\nconfig SMALL\n\tbool "small"\n\nconfig QUIET\n\tbool\n\n'
        'if EXPERT\nconfig ODD\n\tbool "odd"\nendif\n'
    )
    names = ("XFS_FS", "QUIET", "ODD", "XFS_SF")
    asked = config.merge([options([(f"CONFIG_{name}", "y") for name in names] + [("CONFIG_BLOCK", "n")])])
    got = {"CONFIG_SMALL": "y", "CONFIG_BLOCK": "y"}
    lines = config.complain(config.compare(asked, got), got, tmp_path).message.splitlines()
    assert lines[0] == "this kernel cannot have 5 options that were asked for:"
    assert lines[1].endswith("CONFIG_SMALL is on")
    assert lines[2].endswith("only another option selects it")
    assert "a menu or an `if` around it is off" in lines[3]
    assert lines[4].endswith("this tree has no such option, did you mean CONFIG_XFS_FS?")
    assert lines[5].endswith("asked for # CONFIG_BLOCK is not set, it is y: another option selects it")


def test_the_fragments_of_the_lab_are_understood_and_give_reasons():
    for path in (find_workspace().root / "kernel-patches" / "config").glob("*.config"):
        assert config.read_fragment(path), path
        assert path.read_text().startswith("# "), path


def test_what_a_fragment_demands_of_a_guest_is_read_and_adds_up(tmp_path):
    one, other = tmp_path / "a.config", tmp_path / "b.config"
    one.write_text("# Checked.\n#: slower = 4\n#: memory = 256\n#: make = KASAN_SANITIZE_x.o=n\nCONFIG_A=y\n")
    other.write_text("# Watched.\n#: slower = 1.5\nCONFIG_B=y\n")
    assert config.read_demands(one) + config.read_demands(other) == config.Demands(6.0, 256, ("KASAN_SANITIZE_x.o=n",))
    assert [option.name for option in config.read_fragment(one)] == ["CONFIG_A"]


def test_a_demand_that_is_not_known_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "a.config"
    path.write_text("# Checked.\n#: slowed = 4\n")
    with pytest.raises(DeclarationError, match=r"a\.config:2.*slowed"):
        config.read_demands(path)
