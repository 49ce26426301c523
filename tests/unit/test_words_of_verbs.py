"""Words that a verb cannot use: said at once, before anything is built, with what would be right."""

import pytest
from click.testing import CliRunner

from harness.catalogue.load import load, select
from harness.cli import lab
from harness.errors import UserError
from harness.paths import OWN_TREE, Workspace


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What a command line comes to, in the lab's own tree with an empty cache: exit status and all that was said."""
    monkeypatch.setenv("LAB_WORKSPACE", str(OWN_TREE))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))

    def ask(*words, given=None):
        answer = CliRunner().invoke(lab, words, input=given)
        wrong = answer.exception
        if isinstance(wrong, UserError):
            return wrong.exit_code, f"{wrong.message} {wrong.hint}"
        return answer.exit_code, answer.output

    yield ask
    assert not (tmp_path / "cache" / "sources").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "ext4-unlinked", "--accel", "xen"], "'xen' is not one of 'kvm', 'tcg'"),
        (["run", "ext4-unlinked", "--env", "FOO"], "'FOO' is no NAME=VALUE"),
        (["run", "ext4-unlinked", "--env", "FOO=a b"], "no blanks"),
        (["run", "ext4-unlinked", *(word for n in range(9) for word in ("--env", f"N{n}=1"))], "8 variables, not 9"),
        (["run", "ext4-unlinked", "--env", f"FOO={'x' * 130}"], "longer than a guest can be told"),
        (["nightly", "--plan", "--file", "/nonexistent.toml"], "'/nonexistent.toml' does not exist"),
        (["shell", "ext4-unlinked"], "a shell needs a terminal"),
        (["worker", "myhost"], "tcp://HOST:8786"),
        (["b4-check"], "no mail on standard input"),
        (["cache", "prune", "--days", "-1"], "-1"),
    ],
)
def test_a_word_that_cannot_be_used(said, words, told):
    code, text = said(*words, given="")
    assert code == 2
    assert told in text


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("ext4", "a scenario is FILESYSTEM-SUITE: 'ext4-*' is every suite on ext4"),
        ("subvolumes", "a scenario is FILESYSTEM-SUITE: subvolumes runs on btrfs"),
        ("vfat-subvolumes", "subvolumes does not run on vfat, but on btrfs"),
        ("btrfs-subvolums", "did you mean 'btrfs-subvolumes'?"),
    ],
)
def test_half_a_scenario_is_told_the_other_half(word, hint):
    with pytest.raises(UserError, match="there is no scenario") as raised:
        select(load(Workspace(OWN_TREE)), [word])
    assert raised.value.hint == hint
