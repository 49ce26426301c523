"""The agent's words as the host reads them, in whatever pieces they come."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.machine import channel
from harness.machine.channel import Event, Framer, Output, ProtocolError, parse
from harness.machine.report import Report


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (b"hello 1 6.12.117", Event("hello", ("1", "6.12.117"))),
        (b"done", Event("done")),
        (b"unmount error EBUSY", Event("unmount", ("error", "EBUSY"))),
        (b"|done", Output(b"done", True)),
        (b"|", Output(b"", True)),
        (b"+half a li", Output(b"half a li", False)),
        (b"|\xff\xfe", Output(b"\xff\xfe", True)),
    ],
)
def test_lines(line, meaning):
    assert parse(line) == meaning


@pytest.mark.parametrize(
    "line",
    [b"", b"bye", b"\x00", b"DONE", b"\xffdone", b"exit x", b"signal 0x9", b"ready " + b"9" * 5000, b"exit \xd9\xa1"],
)
def test_what_no_agent_says(line):
    with pytest.raises(ProtocolError):
        parse(line)


@given(st.binary())
def test_any_bytes_are_a_meaning_or_a_protocol_error(line):
    with contextlib.suppress(ProtocolError):
        assert isinstance(parse(line), Event | Output)


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)), st.lists(st.integers(1, 9), min_size=1))
def test_lines_survive_any_cut(lines, cuts):
    data = b"".join(line + b"\n" for line in lines)
    framer, got, at, turn = Framer(), [], 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        got += framer.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert got == lines


@given(st.sampled_from(sorted(channel.WORDS)), st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_a_report_takes_whatever_an_agent_may_say(word, arguments):
    with contextlib.suppress(ProtocolError):
        Report().take(parse(" ".join([word, *arguments]).encode()))


def test_a_guest_that_talks_without_end_is_not_listened_to():
    report = Report()
    for _ in range(10_000):
        report.take(Event("left", ("tasks", "1")))
    with pytest.raises(ProtocolError, match="more than 10000 words"):
        report.take(Event("left", ("tasks", "1")))


def test_a_line_without_end_is_refused():
    framer = Framer()
    for _ in range(channel.FRAME_MAX // 4096):
        assert framer.feed(b"x" * 4096) == []
    with pytest.raises(ProtocolError):
        framer.feed(b"x")


def test_commands():
    assert channel.run("unlinked/alias_test", "alias", 20) == b"run 20 unlinked/alias_test alias\n"
    assert channel.run("unlinked/alias_test", None, 0.5) == b"run 0.5 unlinked/alias_test\n"
    assert channel.run("a/b", "c", 1, ("LAB_PHASE=2", "X=/dev/vdb")) == b"run 1 a/b c LAB_PHASE=2 X=/dev/vdb\n"
    assert channel.run("a/b", None, 1, ("LAB_PHASE=2",)) == b"run 1 a/b - LAB_PHASE=2\n"
    assert channel.list_tests("a/b") == b"list a/b\n"
    assert channel.parameter("a/b", "f.v.t", 3) == "lab.run=3,a/b,f.v.t"


@pytest.mark.parametrize("name", ["", "a b", "a\nquit", "../init", "a/../../init", "/init", "a;b", "a,b"])
def test_a_name_that_would_be_more_than_a_name_is_refused(name):
    with pytest.raises(ValueError, match="not a name"):
        channel.run(name, None, 1)
