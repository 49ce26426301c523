"""Recorded consoles, cut anywhere, raise the alarms they must and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.machine.console import LOG_MAX, Alarm, Log, Watch, after_marker

PANIC = b"""\
[    1.544570] sysrq: Trigger a crash
[    1.544816] Kernel panic - not syncing: sysrq triggered crash
[    1.545014] CPU: 0 UID: 0 PID: 37 Comm: guest_test Not tainted 6.12.117+ #1
[    1.559038] Kernel Offset: disabled
"""
OOPS = b"""\
[    1.296517] lkdtm: Performing direct entry EXCEPTION
[    1.297001] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    1.297200] #PF: supervisor write access in kernel mode
[    1.297900] Oops: Oops: 0002 [#1] SMP
"""
HARMLESS = b"""\
[    0.000000] Linux version 6.12.117+
[    1.2] WARNING: CPU: 0 PID: 37 at drivers/misc/lkdtm/bugs.c:112 lkdtm_WARNING+0x9/0x10
[    1.3] BUG: sleeping function called from invalid context at mm/slab.c:1
[    1.3] BUG: KASAN: slab-use-after-free in f+0x1/0x2
[    1.4] BUG: workqueue lockup - pool cpus=0
[    1.5] EXT4-fs (vda): mounted filesystem
[    1.6] traps: image_test[155] general protection fault ip:b9ffffffffb841c9 sp:7ffda2c38c50 error:0
[    1.7] traps: image_test[156] trap invalid opcode ip:401000 sp:7ffda2c38c50 error:0 in image_test
"""


def fed(data, cut):
    watch, found = Watch(), []
    for at in range(0, len(data), cut):
        found += watch.feed(data[at : at + cut])
    return watch, found


@pytest.mark.parametrize("cut", [1, 7, 64, 10000])
def test_a_panic_is_told_once_with_its_line(cut):
    watch, found = fed(PANIC, cut)
    assert found == [Alarm.PANIC]
    assert "Kernel panic - not syncing" in watch.first[Alarm.PANIC]


def test_a_whole_line_is_kept_when_it_comes_whole():
    watch, _ = fed(PANIC, 10000)
    assert watch.first[Alarm.PANIC].endswith("sysrq triggered crash")


@pytest.mark.parametrize("cut", [1, 7, 10000])
def test_an_oops_is_told_once(cut):
    assert fed(OOPS, cut)[1] == [Alarm.OOPS]


def test_a_panic_after_an_oops_is_both():
    assert fed(OOPS + PANIC, 11)[1] == [Alarm.OOPS, Alarm.PANIC]


def test_what_lets_the_task_go_on_is_no_alarm():
    assert fed(HARMLESS, 13)[1] == []


def test_a_panic_is_seen_before_its_line_ends():
    assert Watch().feed(b"[    9.1] Kernel panic - not syncing: Fatal exc") == [Alarm.PANIC]


@given(st.lists(st.binary()))
def test_any_bytes_are_taken(pieces):
    watch = Watch()
    for piece in pieces:
        watch.feed(piece)


def test_the_log_ends_at_its_limit(tmp_path):
    log = Log(tmp_path / "log")
    for _ in range(LOG_MAX // (1 << 20) + 2):
        log.write(bytes(1 << 20))
    log.close()
    data = log.path.read_bytes()
    assert LOG_MAX < len(data) < LOG_MAX + 100
    assert b"2097152 more bytes were not kept" in data


def test_a_case_begins_at_the_first_marker(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"boot\n[1.0] mark\nmine\n[2.0] mark\n")
    assert after_marker(path, b"mark") == len(b"boot\n")
    assert after_marker(path, b"none") == len(path.read_bytes())


def test_a_panic_seen_within_its_line_is_told_whole():
    watch = Watch()
    assert watch.feed(b"[    1.0] Kernel panic - not syncing: ") == [Alarm.PANIC]
    assert watch.feed(b"sysrq triggered crash\r\n[    1.0] CPU: 0\n") == []
    assert watch.first[Alarm.PANIC] == "[    1.0] Kernel panic - not syncing: sysrq triggered crash"
