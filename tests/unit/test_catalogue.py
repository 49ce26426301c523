"""Declarations: what is right is a frozen value, what is wrong is an error a person can act on."""

from pathlib import Path

import pytest

from harness.catalogue.load import load, nearest, requirements, select
from harness.catalogue.model import Kind, Status
from harness.errors import DeclarationError, UserError
from harness.paths import Workspace, find_workspace

SUITE = """
title = "a suite"
filesystems = ["ext4"]
series = "tip"
[expect.without]
status = "FAIL"
reason = "EBADF"
[cases.first]
title = "the first"
[cases.second]
title = "the second"
expect.without = { status = "PASS" }
"""


@pytest.fixture
def workspace(tmp_path):
    files = {
        "kernel-patches/bases/6.12.toml": 'title = "a base"\npackage = "linux-source-6.12"\nconfig = ["guest"]\n',
        "kernel-patches/config/guest.config": "CONFIG_TTY=y\n",
        "kernel-patches/floor/series.toml": 'title = "the floor"\nbases = ["6.12"]\n',
        "kernel-patches/tip/series.toml": 'title = "the tip"\nbases = ["6.12"]\nrequires = ["floor"]\n',
        "images/tiny/image.toml": 'title = "tiny"\n',
        "images/filesystems/ext4.toml": 'title = "ext4"\ntype = "ext4"\ngroups = ["disk"]\n',
        "testcases/unlinked/suite.toml": SUITE,
        "testcases/unlinked/unlinked_test.c": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Workspace(tmp_path, shipped=tmp_path)


def edit(workspace, name, old, new):
    path = workspace.root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_projects_own_declarations_are_right():
    catalogue = load(find_workspace(Path(__file__)))
    assert {"ext4-unlinked", "ext4-rmdir", "selftest"} <= set(catalogue.scenarios())


def test_a_scenario_is_a_suite_on_a_filesystem(workspace):
    assert list(load(workspace).scenarios()) == ["ext4-unlinked"]


def test_expectations_come_from_the_case_then_the_suite_then_pass(workspace):
    suite = load(workspace).suites["unlinked"]
    assert suite.expectation("first", "without").reason == "EBADF"
    assert suite.expectation("second", "without").status is Status.PASS
    assert suite.expectation("first", "with").status is Status.PASS


def test_only_the_assertion_is_the_wanted_red(workspace):
    assert load(workspace).suites["unlinked"].expectation("first", "without").wanted_kind is Kind.ASSERTION


def test_requirements_come_before_the_series(workspace):
    assert requirements(load(workspace), "tip") == ("floor",)


XFS = 'title = "xfs"\ntype = "xfs"\ngroups = ["disk"]\n'
QUESTIONS = '[questions.12a]\ntitle = "odd names"\nsource = "a mail"\n'


@pytest.fixture
def two(workspace):
    """The suite on a group of two filesystems that differ."""
    (workspace.root / "images/filesystems/xfs.toml").write_text(XFS)
    (workspace.suites / "questions.toml").write_text(QUESTIONS)
    edit(workspace, SUITE_FILE, '["ext4"]', '["disk"]')
    with (workspace.root / SUITE_FILE).open("a") as stream:
        stream.write('answers = ["12a"]\nnot_on = { xfs = "no such flag" }\n')
        stream.write('expect_on.disk = { with = { status = "FAIL", reason = "EPERM" } }\n')
        stream.write('expect_on.ext4 = { with = { status = "FAIL", reason = "EXDEV" } }\n')
    return workspace


def test_a_group_is_a_scenario_for_each_of_its_filesystems(two):
    assert list(load(two).scenarios()) == ["ext4-unlinked", "xfs-unlinked"]


def test_a_filesystem_may_expect_something_else(two):
    catalogue = load(two)
    seen = {}
    for name, scenario in catalogue.scenarios().items():
        suite = catalogue.suites["unlinked"].on(catalogue.names_of(scenario))
        seen[name] = suite.expectation("second", "with").reason, suite.expectation("second", "without").status
    assert seen == {"ext4-unlinked": ("EXDEV", Status.PASS), "xfs-unlinked": ("EPERM", Status.PASS)}


def test_a_case_says_where_it_cannot_apply(two):
    catalogue = load(two)
    case, scenarios = catalogue.suites["unlinked"].cases["second"], catalogue.scenarios()
    assert case.why_not_on(catalogue.names_of(scenarios["xfs-unlinked"])) == "no such flag"
    assert case.why_not_on(catalogue.names_of(scenarios["ext4-unlinked"])) == ""


@pytest.mark.parametrize(
    ("old", "new", "says", "hint"),
    [
        ("xfs =", "xsf =", "suite.toml:14: not_on: there is no filesystem or group of them 'xsf'", "'xfs'"),
        ('"no such flag"', '" "', "suite.toml:14: not_on: xfs wants a reason", None),
        ("expect_on.disk", "expect_on.disc", "suite.toml:15: expect_on: there is no", "'disk'"),
        ("disk = { with", "disk = { wiht", "suite.toml:15: expect_on: there is no state 'wiht'", "'with'"),
        ('"12a"', '"12b"', "suite.toml:13: answers: there is no question in testcases/questions.toml '12b'", "'12a'"),
        ('filesystems = ["disk"]', 'filesystems = ["disc"]', "suite.toml:3: filesystems: there is no", "'disk'"),
    ],
)
def test_a_mistake_in_what_differs_names_its_line(two, old, new, says, hint):
    edit(two, SUITE_FILE, old, new)
    with pytest.raises(DeclarationError) as raised:
        load(two)
    assert says in raised.value.message
    assert hint is None or hint in (raised.value.hint or "")


def test_a_group_is_not_called_like_a_filesystem(two):
    edit(two, "images/filesystems/xfs.toml", '"disk"', '"ext4"')
    with pytest.raises(DeclarationError, match=r"xfs.toml:3: groups: 'ext4' is a filesystem's name"):
        load(two)


SUITE_FILE = "testcases/unlinked/suite.toml"
TIP = "kernel-patches/tip/series.toml"


@pytest.mark.parametrize(
    ("name", "old", "new", "says", "hint"),
    [
        (SUITE_FILE, "reason =", "raeson =", "suite.toml:7: unknown key 'raeson'", "'reason'"),
        (SUITE_FILE, "filesystems =", "filesystem =", "suite.toml:3: unknown key", "'filesystems'"),
        (SUITE_FILE, '"ext4"', '"ext5"', "suite.toml:3: filesystems: there is no", "'ext4'"),
        (SUITE_FILE, '"FAIL"', '"FIAL"', "suite.toml:6: status: Invalid enum value 'FIAL'", None),
        (SUITE_FILE, "expect.without]", "expect.wihtout]", "there is no state 'wihtout'", "'without'"),
        (SUITE_FILE, 'title = "a suite"', "", "the key 'title' is missing", None),
        (SUITE_FILE, 'title = "a suite"', "title = ", "is not TOML", None),
        (SUITE_FILE, "[cases.second]", '[cases.second]\nphases = ["powercut"]', "phases: Invalid enum value", None),
        (SUITE_FILE, "[cases.second]", '[cases.second]\ncuts = true\nphases = ["reboot"]', "exclude each other", None),
        (SUITE_FILE, "[cases.second]", "[cases.second]\ncut = 3", "wants cuts = true", None),
        (TIP, '"floor"', '"flor"', "series.toml:3: requires: there is no series", "'floor'"),
        (TIP, '"6.12"', '"6.1"', "there is no base '6.1'", "'6.12'"),
        ("kernel-patches/bases/6.12.toml", "package", 'url = "https://x"\npackage', "exactly one of", None),
        ("kernel-patches/bases/6.12.toml", '"guest"', '"gest"', "there is no fragment", "'guest'"),
        ("images/tiny/image.toml", '"tiny"', '"tiny"\nmemory = "1G"', "image.toml:2: memory: Expected", None),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_key(workspace, name, old, new, says, hint):
    edit(workspace, name, old, new)
    with pytest.raises(DeclarationError) as raised:
        load(workspace)
    assert says in raised.value.message
    assert hint is None or hint in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("file", "misses"),
    [("testcases/forgotten/a_test.c", "suite.toml"), ("kernel-patches/forgotten/0001-a.patch", "series.toml")],
)
def test_what_nobody_declares_is_not_passed_over(workspace, file, misses):
    path = workspace.root / file
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(DeclarationError, match=f"forgotten: has a .* and no {misses}"):
        load(workspace)


def test_requires_in_a_circle(workspace):
    edit(workspace, "kernel-patches/floor/series.toml", "bases", 'requires = ["tip"]\nbases')
    with pytest.raises(DeclarationError, match="in a circle"):
        load(workspace)


def test_select_by_pattern(workspace):
    catalogue = load(workspace)
    assert list(select(catalogue, ["ext4-*/sec*"]).values()) == [("second",)]
    assert list(select(catalogue, ["*"]).values()) == [("first", "second")]


def test_select_one_cut(workspace):
    edit(workspace, SUITE_FILE, "[cases.second]", "[cases.second]\ncuts = true")
    catalogue = load(workspace)
    assert list(select(catalogue, ["ext4-unlinked/second@17"]).values()) == [("second@17",)]
    assert list(select(catalogue, ["ext4-unlinked/*", "*/*@3"]).values()) == [("first", "second", "second@3")]
    with pytest.raises(UserError):
        select(catalogue, ["ext4-unlinked/first@17"])


@pytest.mark.parametrize(("pattern", "hint"), [("ext4-unlinkd", "ext4-unlinked"), ("ext4-unlinked/frist", "first")])
def test_select_what_is_not_there(workspace, pattern, hint):
    with pytest.raises(UserError) as raised:
        select(load(workspace), [pattern])
    assert hint in (raised.value.hint or "")


def test_nearest_is_silent_when_nothing_is_near():
    assert nearest("zzz", ["alpha", "beta"]) is None
