"""Run folders: whole or not there, unique, readable after any end, and judged again from what was saved."""

import json
import os
import re
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import process
from harness.catalogue.model import Expectation, Kind, Splat, Status
from harness.errors import InfraError, UserError
from harness.results import facts, files, index, schema
from harness.results import run as run_module
from harness.results.model import Accel, GitState, Kernel, Manifest, RunResult, RunStatus
from harness.results.run import RunFolder, Terminated, safe, terminable
from harness.verdict.judge import CaseRecord, Check, Ended, judge

ROOT = Path(__file__).resolve().parents[2]
PASS = "TAP version 13\n1..1\nok 1 unlinked.alias\n"
RED = "TAP version 13\n1..1\n# a.c:1:alias:link(): EBADF (Bad file), expected success\nnot ok 1 unlinked.alias\n"
GREEN_WANTED, RED_WANTED = Expectation(status=Status.PASS), Expectation(status=Status.FAIL, reason="EBADF")


def manifest(**given):
    values = {
        "scenario": "ext4-unlinked",
        "argv": ("lab", "run", "ext4-unlinked", "--at", "it's"),
        "states": ("without", "with"),
        "cases": ("alias", "orphan"),
        "created": "2026-11-22T15:17:33Z",
        "kernels": (Kernel(state="with", key="77ab02", label="6.12.117 + a + b"),),
        "accel": Accel(name="tcg", reason="KVM: the probe guest never printed"),
        "qemu": {"with": ("echo", "qemu", "-append", "console=ttyS0 panic=-1")},
        "workspace": GitState(commit="0" * 40),
    }
    return Manifest(**{**values, **given})


def record(**given):
    return CaseRecord(
        **{"case": "alias", "state": "with", "test": "alias", "ended": Ended.DONE, "exit": 0, "ktap": PASS, **given}
    )


def add(run, expected=GREEN_WANTED, disk=None, **given):
    saved = record(**given)
    return run.add(saved, judge(saved), expected, disk)


def fill(run):
    """A whole run of two cases in two states, added in another order than planned."""
    for case in ("orphan", "alias"):
        ktap = (PASS.replace("alias", case), RED.replace("alias", case))
        add(run, case=case, test=case, ktap=ktap[0])
        add(run, RED_WANTED, case=case, test=case, state="without", exit=1, ktap=ktap[1])


def test_a_whole_run(tmp_path):
    with RunFolder.create(tmp_path / "results" / "runs", "ext4-unlinked") as run:
        run.write_manifest(manifest(), diff="a diff\n")
        fill(run)
        result = run.finish()
    assert re.fullmatch(r"results/runs/[0-9]{8}T[0-9]{6}Z-ext4-unlinked", run.shown)
    assert [(case.state, case.case) for case in result.cases] == [
        (state, case) for state in ("without", "with") for case in ("alias", "orphan")
    ]
    assert result.as_expected
    assert (result.planned, result.status, result.unexpected) == (4, RunStatus.DONE, ())
    entry = index.entry(run.path)
    assert (entry.state, entry.result, entry.manifest) == (index.State.GREEN, result, manifest())
    assert (run.path / "workspace.diff").read_text() == "a diff\n"
    assert not list(run.path.rglob("*.tmp"))
    assert stat.S_IMODE((run.path / "reproduce.sh").stat().st_mode) == 0o755


def test_the_manifest_is_there_before_the_first_case(tmp_path):
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        assert index.entry(run.path).state is index.State.RUNNING
        fill(run)
        run.finish()
    assert index.entry(run.path).state is index.State.GREEN


def test_many_labs_in_one_second_get_folders_of_their_own(tmp_path):
    made = []

    def make():
        with RunFolder.create(tmp_path, "same") as run:
            made.append(run.path)

    threads = [threading.Thread(target=make) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 12


@pytest.mark.parametrize(
    ("error", "status", "state"),
    [
        (KeyboardInterrupt(), RunStatus.KILLED, index.State.KILLED),
        (Terminated("SIGTERM"), RunStatus.KILLED, index.State.KILLED),
        (InfraError("qemu is not installed"), RunStatus.FAILED, index.State.FAILED),
        (RuntimeError("a bug"), RunStatus.FAILED, index.State.FAILED),
    ],
)
def test_a_run_that_is_left_by_an_exception_says_so(tmp_path, error, status, state):
    def leave():
        with RunFolder.create(tmp_path, "s") as run:
            run.write_manifest(manifest())
            add(run)
            raise error

    with pytest.raises(type(error)):
        leave()
    (entry,) = index.entries(tmp_path)
    assert (entry.state, entry.result.status, len(entry.result.cases), entry.result.planned) == (state, status, 1, 4)
    assert not entry.result.as_expected
    if state is index.State.FAILED:
        assert str(error) in entry.why


CHILD = """
import sys, time
from pathlib import Path
from harness.results.run import RunFolder, terminable
from tests.unit.test_results import manifest, add
with terminable(), RunFolder.create(Path(sys.argv[1]), "s") as run:
    run.write_manifest(manifest())
    add(run)
    print(run.path, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (signal.SIGTERM, index.State.KILLED),
        (signal.SIGHUP, index.State.KILLED),
        (signal.SIGINT, index.State.KILLED),
        (signal.SIGKILL, index.State.NO_RESULT),
    ],
)
def test_a_real_lab_that_is_killed(tmp_path, number, state):
    env = {"PYTHONPATH": str(ROOT)}
    with process.start([sys.executable, "-c", CHILD, str(tmp_path)], stdout=-1, env=env, cwd=ROOT) as child:
        path = Path(child.popen.stdout.readline().decode().strip())
        assert index.entry(path).state is index.State.RUNNING
        os.kill(child.pid, number)
        child.wait(20)
    entry = index.entry(path)
    assert entry.state is state
    assert len(index.rejudge(entry).result.cases) == 1


def test_terminable_gives_the_signals_back():
    before = signal.getsignal(signal.SIGTERM)

    def be_terminated():
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(Terminated):
        be_terminated()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_is_an_infrastructure_error_and_nothing_half_written_counts(tmp_path):
    """/dev/full is a disk that is full: the temporary file is led there."""
    (tmp_path / ".result.json.tmp").symlink_to("/dev/full")
    with pytest.raises(InfraError, match="the disk is full"):
        files.write(tmp_path / "result.json", b"x" * 100)
    assert list(tmp_path.iterdir()) == []


def test_a_case_that_cannot_be_kept_leaves_nothing(tmp_path, monkeypatch):
    kept = run_module.save

    def save_on_a_full_disk(folder, *rest):
        (folder / ".outcome.json.tmp").symlink_to("/dev/full")
        kept(folder, *rest)

    def fill_the_disk():
        with RunFolder.create(tmp_path, "s") as run:
            run.write_manifest(manifest())
            add(run, case="orphan")
            monkeypatch.setattr(run_module, "save", save_on_a_full_disk)
            add(run)

    with pytest.raises(InfraError, match="disk is full"):
        fill_the_disk()
    (entry,) = index.entries(tmp_path)
    assert [path.name for path in (entry.path / "cases" / "with").iterdir()] == ["orphan"]
    assert entry.state is index.State.FAILED
    assert [case.case for case in entry.result.cases] == ["orphan"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InfraError, match="cannot write"):
        RunFolder.create(tmp_path / "runs", "s")


def test_a_file_where_the_runs_should_be(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(InfraError, match="cannot write"):
        RunFolder.create(tmp_path / "runs", "s")


@given(st.text(max_size=40))
def test_no_name_leaves_the_folder(name):
    made = safe(name)
    assert "/" not in made
    assert made
    assert not made.startswith(".")
    assert "\0" not in made


def test_different_names_stay_different():
    names = ["", "%", ".", "..", "a/b", "a%2Fb", "%2E", "a b", "é"]
    assert len({safe(name) for name in names}) == len(names)


def test_a_hostile_case_name_stays_inside(tmp_path):
    with RunFolder.create(tmp_path / "runs", "../../s") as run:
        run.write_manifest(manifest())
        result = add(run, case="../../../x", state="..")
        run.finish()
    assert (run.path / result.folder / "record.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_disk_is_kept_only_of_what_was_not_expected(tmp_path):
    with RunFolder.create(tmp_path / "runs", "s") as run:
        run.write_manifest(manifest())
        for case, ktap, kept in (("good", PASS, False), ("bad", RED, True)):
            disk = tmp_path / f"{case}.img"
            with disk.open("wb") as stream:
                stream.truncate(64 << 20)
                stream.seek(32 << 20)
                stream.write(b"data")
            result = add(run, disk=disk, case=case, ktap=ktap, exit=int(kept))
            image = run.path / result.folder / "disk.img"
            assert image.exists() is kept
            assert disk.exists() is not kept
        run.finish()
    assert image.stat().st_size == 64 << 20
    assert image.stat().st_blocks * 512 < 1 << 20


def test_a_disk_moves_between_filesystems_with_its_holes(tmp_path):
    source, target = tmp_path / "a.img", tmp_path / "b.img"
    with source.open("wb") as stream:
        for offset in (0, 5 << 20, (9 << 20) + 17):
            stream.seek(offset)
            stream.write(os.urandom(3000))
        stream.truncate(16 << 20)
    data = source.read_bytes()
    files._copy_sparse(source, target)
    assert target.read_bytes() == data
    assert target.stat().st_blocks * 512 < 1 << 20


def test_texts_come_back_as_they_were(tmp_path):
    console = "\r\n[    1.0] a\u2028b\x00\x1b[31m\r\n"
    saved = record(console=console, ktap=PASS + "\x85\x0c", splat=Splat(pattern="x", reason="y"), check=Check(exit=0))
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        result = run.add(saved, judge(saved), GREEN_WANTED)
        run.finish()
    assert index.load_case(run.path / result.folder) == (saved, result)
    assert (run.path / result.folder / "console.log").read_bytes() == console.encode()


def test_judging_again_changes_nothing(tmp_path):
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        fill(run)
        result = run.finish()
    again = index.rejudge(index.find(tmp_path, "last"))
    assert again.changes == ()
    assert again.result == result


def test_judging_again_after_the_console_says_more(tmp_path):
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        fill(run)
        run.finish()
    (run.path / "cases" / "with" / "alias" / "console.log").write_text("kernel BUG at fs/inode.c:417!\n")
    again = index.rejudge(index.find(tmp_path, "last"))
    (change,) = again.changes
    assert (change.state, change.case, change.before.kind, change.after.kind) == (
        "with",
        "alias",
        Kind.PASSED,
        Kind.OOPS,
    )
    assert [case.case for case in again.result.unexpected] == ["alias"]
    assert index.entry(run.path).state is index.State.GREEN


def test_runs_are_found_by_what_people_type(tmp_path):
    made = []
    for scenario in ("ext4-unlinked", "xfs-rmdir"):
        with RunFolder.create(tmp_path, scenario) as run:
            run.write_manifest(manifest(scenario=scenario))
            run.finish()
            made.append(run.path.name)
    (tmp_path / "not-a-run").mkdir()
    assert [entry.name for entry in index.entries(tmp_path)] == made[::-1]
    assert index.find(tmp_path, "last").name == made[1]
    assert index.find(tmp_path, "ext4").name == made[0]
    assert index.find(tmp_path, str(tmp_path / made[0])).name == made[0]
    with pytest.raises(UserError, match="2 runs"):
        index.find(tmp_path, "202")
    with pytest.raises(UserError, match="no run"):
        index.find(tmp_path, "btrfs")
    with pytest.raises(UserError, match="no run"):
        index.find(tmp_path / "none", "last")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("manifest.json", "{", "manifest.json"),
        ("manifest.json", '{"version": 999}', "version 999"),
        ("result.json", "[]", "result.json"),
        ("result.json", '{"version": 1}', "missing required field"),
    ],
)
def test_a_broken_run_is_listed_as_such(tmp_path, name, text, why):
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        run.finish()
    (run.path / name).write_text(text)
    (entry,) = index.entries(tmp_path)
    assert entry.state is index.State.UNREADABLE
    assert why in entry.why


def test_a_newer_field_is_no_obstacle(tmp_path):
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        run.finish()
    data = json.loads((run.path / "result.json").read_text())
    (run.path / "result.json").write_text(json.dumps({**data, "weather": "fine"}))
    assert index.entry(run.path).result is not None


def sh(path, *words, env=None):
    return process.run(["sh", str(path), *words], env=env, check=False, timeout=20)


def test_reproduce_runs_the_same_command_in_the_same_commit(tmp_path):
    workspace = tmp_path / "space"
    workspace.mkdir()
    git = ["git", "-C", str(workspace), "-c", "user.name=a", "-c", "user.email=a@b"]
    process.run([*git, "init", "-q"])
    (workspace / "lab").write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
    (workspace / "lab").chmod(0o755)
    process.run([*git, "add", "lab"])
    process.run([*git, "commit", "-q", "-m", "first"])
    state = facts.git_state(workspace)
    with RunFolder.create(workspace / "results" / "runs", "s") as run:
        run.write_manifest(manifest(workspace=state))
        run.finish()
    script = run.path / "reproduce.sh"
    assert sh(script).stdout == "[run][ext4-unlinked][--at][it's]"
    assert sh(script, "qemu", "with").stdout == "qemu -append console=ttyS0 panic=-1\n"
    assert sh(script, "qemu", "nope").returncode == 2
    assert sh(script, "what").returncode == 2
    process.run([*git, "commit", "-q", "--allow-empty", "-m", "second"])
    moved = sh(script)
    assert (moved.returncode, moved.stdout) == (2, "")
    assert state.commit in moved.stderr


@given(st.text(max_size=30), st.text(alphabet=st.characters(exclude_characters="\0"), max_size=30))
def test_no_text_escapes_the_quotes_of_the_script(scenario, word):
    from harness.results import reproduce

    text = reproduce.script(manifest(scenario=scenario, argv=("lab", word), qemu={"with": ("echo", word)}))
    comment = [line for line in text.split("\n")[:3] if "run 2026" in line]
    assert len(comment) == 1


@pytest.mark.parametrize("word", ["$(touch gone)", "`touch gone`", "a\nb", "'", '"', "\\", ";exit 3", "é"])
def test_the_script_quotes_what_the_shell_would_read(tmp_path, word):
    from harness.results import reproduce

    script = tmp_path / "reproduce.sh"
    script.write_text(reproduce.script(manifest(qemu={"with": ("printf", "%s", word)})))
    assert sh(script, "qemu", "with").stdout == word
    assert not Path("gone").exists()


def test_the_state_of_the_workspace(tmp_path):
    assert facts.git_state(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    process.run([*git, "init", "-q"])
    (tmp_path / "f").write_text("one\n")
    process.run([*git, "add", "f"])
    process.run([*git, "commit", "-q", "-m", "first"])
    assert facts.git_state(tmp_path).changed == ()
    (tmp_path / "f").write_text("two\n")
    assert facts.git_state(tmp_path).changed == (" M f",)
    assert "+two" in facts.git_diff(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_workspace_of_another_user_is_read_all_the_same(tmp_path):
    process.run(["git", "-C", str(tmp_path), "init", "-q"])
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    process.run(["git", "-C", str(tmp_path), *who, "commit", "-q", "--allow-empty", "-m", "first"])
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65534, 65534)
    assert facts.git_state(tmp_path) is not None


def test_versions_are_told():
    assert facts.tools().python == ".".join(map(str, sys.version_info[:3]))
    assert facts.tools().host_kernel == os.uname().release


def test_the_schema_in_the_repository_is_that_of_the_code():
    assert (ROOT / "results" / "schema.json").read_bytes() == schema.text(), (
        "schema.export(Path('results/schema.json'))"
    )


def test_the_readme_names_every_file_and_every_key():
    text = (ROOT / "results" / "README.md").read_text()
    for name in (*schema.FILES, "reproduce.sh", "workspace.diff", "ktap.log", "console.log", "disk.img"):
        assert name in text
    for kind in schema.FILES.values():
        for field in msgspec.structs.fields(kind):
            assert f"`{field.name}`" in text, f"{kind.__name__}.{field.name}"


def test_written_files_fit_the_schema(tmp_path):
    jsonschema = pytest.importorskip("jsonschema", reason="comes with the dev extra (kcidb-io)")
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        fill(run)
        add(run, case="bug", console="kernel BUG at fs/inode.c:417!\n", check=Check(exit=4, output="x"))
        run.finish()
    whole = json.loads(schema.text())
    seen = set()
    for path in run.path.rglob("*.json"):
        reference = whole["files"][path.name]
        jsonschema.validate(json.loads(path.read_text()), {**reference, "$defs": whole["$defs"]})
        seen.add(path.name)
    assert seen == set(schema.FILES)


def test_results_are_plain_json(tmp_path):
    with RunFolder.create(tmp_path, "s") as run:
        run.write_manifest(manifest())
        fill(run)
        result = run.finish()
    assert msgspec.json.decode((run.path / "result.json").read_bytes(), type=RunResult) == result
    first = json.loads((run.path / "result.json").read_text())["cases"][0]
    assert (first["outcome"]["status"], first["outcome"]["kind"], first["outcome"]["reason"], first["met"]) == (
        "FAIL",
        "assertion",
        "EBADF",
        True,
    )
