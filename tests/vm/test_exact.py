"""Guests that count instructions: nothing of the host is in their numbers, and what was recorded runs again."""

import dataclasses
import re

import msgspec
import pytest

from harness.catalogue.model import Kind, Status
from harness.errors import InfraError
from harness.guest import disks, memory_disk
from harness.machine import history
from harness.machine.machine import Machine
from harness.machine.outcome import Ended
from harness.runner import exact, replay
from harness.verdict.judge import Outcome

PROGRAM = "vm/guest_test"


@pytest.fixture(scope="module")
def options(plain, cache, declared):
    """An exact guest with ext4 in its memory."""
    initramfs = memory_disk.attach(plain.initramfs, disks.make(declared, cache), cache)
    return dataclasses.replace(
        plain, initramfs=initramfs, filesystem="ext4", device=memory_disk.DEVICE, memory=512, exact=True, tsc_khz=0
    )


def ktap(raw):
    assert raw.ended is Ended.DONE, raw.detail
    return raw.ktap


def test_the_console_is_the_same_to_the_microsecond(options, tmp_path):
    """Timestamps of every kernel message, from power-on to the end: a guest that was disturbed shows it there."""
    runs = [exact.run(options, tmp_path / f"{n}.log", PROGRAM, "passes", 20) for n in range(3)]
    consoles = [run.console.read_bytes() for run in runs]
    assert consoles[0] == consoles[1] == consoles[2]
    assert re.search(rb"\[ +[0-9.]+\] reboot: machine restart", consoles[0])
    assert len({ktap(run) for run in runs}) == 1
    assert {run.unmount for run in runs} == {"ok"}


@pytest.fixture
def recorded(options, tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    raw, kept = replay.record(options, tmp_path / "no-symbols", folder, PROGRAM, "fails", 20)
    assert {path.name for path in kept} == {replay.LOG, replay.FACTS}
    return folder, raw, replay.load(folder)


def test_two_replays_end_at_the_instruction_of_the_recording(recorded, tmp_path):
    folder, raw, recording = recorded
    ends, said = [], []
    for number in range(2):
        with Machine(replay.options_of(recording, folder / replay.LOG), tmp_path / f"{number}.log") as machine:
            ends.append(history.run_to(machine, None))
            said.append(machine.listen(0).decode())
            assert machine.log.path.read_bytes() == raw.console.read_bytes()
    assert ends == [history.Stop(recording.instructions, True)] * 2
    assert said == [raw.ktap] * 2


def test_a_replay_stops_where_the_assertion_is_printed(recorded, tmp_path):
    folder, raw, recording = recorded
    where = re.search(r"\S+guest_test\.c:[0-9]+", raw.ktap).group()
    outcome = Outcome(status=Status.FAIL, kind=Kind.ASSERTION, message=f"{where}: said")
    place = replay.place_of(outcome)
    total, seen = replay.measure(recording, folder, tmp_path, place)
    assert 0 < seen <= total == recording.instructions
    with replay.stopped(recording, folder, tmp_path, place, seen) as (machine, found):
        assert seen - replay.COARSE <= found.instructions <= seen
        assert where in machine.listen(0).decode()
        assert "not ok" not in machine.listen(0).decode()


def test_a_replay_that_ends_elsewhere_is_an_error(recorded, tmp_path):
    folder, _, recording = recorded
    other = msgspec.structs.replace(recording, instructions=recording.instructions - 1)
    with pytest.raises(InfraError, match="the recording at"):
        replay.measure(other, folder, tmp_path, None)
