"""A guest saved once and continued many times: each fork starts from the same moment and none sees another.

Each holds for both kinds: a fork that a QEMU of its own loads, and one that is forked from a QEMU that has loaded it.
"""

import contextlib
import dataclasses
import re
import time

import pytest

from harness.errors import InfraError
from harness.guest import disks
from harness.machine import snapshot
from harness.machine.command import Disk
from harness.machine.machine import Machine
from harness.machine.outcome import Ended
from harness.machine.zygote import zygote
from harness.runner.nursery import library

PROGRAM = "vm/guest_test"


@pytest.fixture(scope="module")
def parent(saved, cache, tmp_path_factory):
    """A zygote of the saved guest."""
    options, made = saved
    folder = tmp_path_factory.mktemp("zygote")
    disk = Disk(disks.copy_sparse(made.disks[0], folder / "disk.img"))
    with zygote(options, made, (disk,), folder / "console.log", library(cache), (PROGRAM,)) as parent:
        yield parent


@pytest.fixture(params=["loaded", "forked"])
def fork(request, saved, tmp_path):
    options, made = saved
    birth = None
    if request.param == "forked":
        parent = request.getfixturevalue("parent")
        made, birth = parent.snapshot, parent.birth

    @contextlib.contextmanager
    def fork(name="fork"):
        disk = disks.copy_sparse(made.disks[0], tmp_path / f"{name}.img")
        with snapshot.fork(options, made, (Disk(disk),), tmp_path / f"{name}.log", birth) as machine:
            yield machine

    return fork


def test_a_fork_runs_a_case_to_a_clean_disk(fork, declared, tmp_path):
    with fork() as machine:
        result = machine.run_case(PROGRAM, "keeps_a_file")
    assert (result.ended, result.exit_code, result.unmount, result.left) == (Ended.DONE, 0, "ok", ())
    assert disks.check(declared, tmp_path / "fork.img").clean


def test_a_program_that_waited_is_told_its_test_and_is_alone(fork):
    with fork() as machine:
        result = machine.run_case(PROGRAM, "sees_its_surroundings")
    assert (result.exit_code, result.left) == (0, ())
    assert "1..1" in result.ktap


def test_a_second_case_in_the_same_fork_is_a_new_program(fork):
    with fork() as machine:
        assert machine.run_case(PROGRAM, "keeps_a_file").exit_code == 0
        assert machine.run_case(PROGRAM, "sees_its_surroundings").exit_code == 0


def test_a_program_that_cannot_be_started_waits_for_nobody(fork):
    with fork() as machine:
        assert machine.run_case("vm/none_such", "x").exit_code == 127


def test_the_console_of_a_fork_begins_with_its_own_case(fork):
    with fork() as machine:
        result = machine.run_case(PROGRAM, "warns")
    text = result.console.read_text()
    assert "Linux version" not in text
    assert "WARNING: CPU" in text[result.console_from :]


def test_no_fork_sees_what_another_did(fork):
    for name in ("one", "two"):
        with fork(name) as machine:
            # leaves "below" on its disk and in its memory; a second time would be EEXIST
            assert machine.run_case(PROGRAM, "leaves_mounts").exit_code == 0


def test_forks_run_side_by_side(fork):
    with fork("one") as one, fork("two") as two:
        assert one.run_case(PROGRAM, "passes").exit_code == 0
        assert two.run_case(PROGRAM, "passes").exit_code == 0


def test_forks_draw_different_random_numbers_and_know_the_time(fork):
    drawn = []
    for name in ("one", "two", "three"):
        with fork(name) as machine:
            text = machine.run_case(PROGRAM, "tells_itself_apart").ktap
        drawn.append(re.search(r"# random (\w+)", text).group(1))
        assert abs(int(re.search(r"# time (\d+)", text).group(1)) - time.time()) < 5
    assert len(set(drawn)) == 3


def test_a_bad_fork_ends_as_what_it_is_and_spoils_no_other(fork):
    with fork("bad") as machine:
        assert machine.run_case(PROGRAM, "panics", seconds=30).ended is Ended.PANIC
    with fork("good") as machine:
        assert machine.run_case(PROGRAM, "passes").exit_code == 0


def test_forks_leave_the_snapshot_as_it_was(saved, fork):
    _, made = saved
    before = [path.read_bytes() for path in (made.memory, made.state, *made.disks)]
    with fork() as machine:
        machine.run_case(PROGRAM, "keeps_a_file")
    assert [path.read_bytes() for path in (made.memory, made.state, *made.disks)] == before


def test_a_saved_guest_can_be_found_again_and_moved(saved, tmp_path):
    options, made = saved
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (made.memory, made.state, *made.disks, made.state.with_name("snapshot.json")):
        disks.copy_sparse(path, moved / path.name)
    found = snapshot.load(moved)
    assert found.release == made.release
    with snapshot.fork(options, found, (Disk(found.disks[0]),), tmp_path / "log") as machine:
        assert machine.run_case(PROGRAM, "passes").exit_code == 0


def test_a_state_of_another_machine_is_refused(saved, tmp_path):
    options, made = saved
    disk = disks.copy_sparse(made.disks[0], tmp_path / "disk.img")
    other = dataclasses.replace(options, cpus=2)
    with pytest.raises(InfraError), snapshot.fork(other, made, (Disk(disk),), tmp_path / "log") as machine:
        machine.run_case(PROGRAM, "passes")


def test_a_broken_state_is_refused(saved, tmp_path):
    options, made = saved
    broken = tmp_path / "state"
    broken.write_bytes(made.state.read_bytes()[:1000])
    disk = disks.copy_sparse(made.disks[0], tmp_path / "disk.img")
    bad = dataclasses.replace(made, state=broken)
    with pytest.raises(InfraError), snapshot.fork(options, bad, (Disk(disk),), tmp_path / "log") as machine:
        machine.run_case(PROGRAM, "passes")


def test_a_guest_without_a_memory_file_cannot_be_saved(plain, tmp_path):
    with Machine(plain, tmp_path / "log") as machine, pytest.raises(InfraError, match=r"Options\.save"):
        snapshot.save(machine, tmp_path)


def test_a_folder_without_a_guest(tmp_path):
    with pytest.raises(InfraError, match="holds no saved guest"):
        snapshot.load(tmp_path)
