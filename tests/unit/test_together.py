"""States made ready side by side: in their order, and none goes on when one has failed."""

import threading

import pytest

from harness import process
from harness.errors import CommandError, InfraError
from harness.runner.together import together


def test_two_at_a_time_and_in_their_order():
    meeting = threading.Barrier(2, timeout=30)

    def slow_first(name):
        if name != "later":
            meeting.wait()
        return name.upper()

    assert list(together(2, slow_first, ["without", "with", "later"])) == ["WITHOUT", "WITH", "LATER"]


def test_one_at_a_time_when_only_one_guest_is_wanted():
    threads = list(together(1, lambda _name: threading.current_thread().name, ["without", "with"]))
    assert len(set(threads)) == 1


def test_nothing_to_do():
    assert list(together(2, str, [])) == []


@pytest.fixture
def asleep():
    """A job that runs a program for as long as the tests may take, unless it is ended; and whether it was."""
    begun, ended = threading.Event(), threading.Event()

    def sleep(_name):
        begun.set()
        try:
            process.run(["sleep", "3600"])
        except CommandError:
            ended.set()
            raise

    return begun, ended, sleep


def test_when_one_fails_the_other_s_programs_are_ended(asleep):
    begun, ended, sleep = asleep

    def do(name):
        if name == "with":
            return sleep(name)
        assert begun.wait(30)
        raise InfraError("no guest")

    with pytest.raises(InfraError, match="no guest"):
        list(together(2, do, ["without", "with"]))
    assert ended.is_set()


def test_who_stops_asking_has_the_rest_ended(asleep):
    begun, ended, sleep = asleep

    def do(name):
        if name == "with":
            return sleep(name)
        assert begun.wait(30)
        return name

    results = together(2, do, ["without", "with"])
    assert next(results) == "without"
    results.close()
    assert ended.is_set()
