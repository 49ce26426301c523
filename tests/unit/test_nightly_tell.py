"""What is told in the morning: valid in every format, sent through a real SMTP conversation."""

import datetime
import socketserver
import threading

import pytest
from junitparser import JUnitXml

from harness.catalogue.nightly import Mail
from harness.errors import InfraError
from harness.history.rows import Complaint, Lane, Point
from harness.history.trend import Standing
from harness.nightly import mail, tell
from harness.nightly.book import LeftOut, Plan
from harness.nightly.morning import Complaint as Told
from harness.nightly.morning import Found, Morning, Row, Story
from harness.nightly.verdict import judge_night
from harness.nightly.work import Errand, Report

TODAY = datetime.date(2026, 11, 25)
CELL = "6.12/plain/auto/ext4-unlinked"


def point(case, met, kind="assertion", state="with", complaints=()):
    lane = Lane(1, "ext4-unlinked", state, "6.12", "relink", "", "tcg", False, "LAB_N=1")
    return Point(
        id=0, run="20261125T000000Z-ext4-unlinked", folder="/x", started="2026-11-25T00:00:00Z", nightly="n", job=CELL,
        attempt=0, guests="forked", commit="c" * 40, changed=False, host="here", qemu="", lane=lane, case=case,
        kernel="77ab02", label="6.12 + relink", source="", status="PASS" if met else "FAIL",
        kind="passed" if met else kind, reason="" if met else "<EBADF>", met=met, wanted="PASS", duration=1.0,
        message="" if met else "a.c:1: \x1b[31mno & <b>", where="cases/with/x", complaints=complaints,
    )  # fmt: skip


@pytest.fixture
def red():
    judged = judge_night([point("good", True), point("bad", False)], {}, TODAY)
    bad = next(each for each in judged if each.first.met is False)
    errand = Errand(
        nightly="n",
        job="6.12/kasan/auto/ext4-rmdir",
        scenario="ext4-rmdir",
        base="6.12",
        config="kasan",
        accelerator="auto",
    )
    lost = Report(name=errand.name, errand=errand, error="x.c:1: error: no\nmore", whose="build", code=3)
    return Morning(
        plan=Plan(name="n", title="every night", started="s", cells=(CELL,), left_out=(LeftOut("a/b", "too <slow>"),)),
        status="done", finished="f", seconds=75.0, judged=judged, conditions=("far: qemu is 9; the others' is 7",),
        rows=(Row(CELL, {"met": 1, "failed": 1}, 60.0, ("here",)), Row(errand.job, {}, 0.0, (), "x.c:1: error: no")),
        stories=(Story(bad, Standing.REGRESSION, point("bad", True), (Told("WARNING in foo", 12 * "b", "new"),)),),
        not_run=(lost,),
        bisects=(Found("ext4-unlinked/bad", "0123456789ab", "fs: break it", "commits of 6.12", ("good  a", "bad  b")),),
    )  # fmt: skip


def test_text_has_all_that_somebody_must_know(red):
    said = tell.text(red)
    for part in (
        "every night: 1 regressions, 1 failed, 1 jobs not run",
        "ext4-unlinked/bad", "wanted PASS", "1 of 1 failed", "WARNING in foo [bbbbbbbbbbbb] new",
        "0123456789ab fs: break it", "build: x.c:1: error: no", "too <slow>", "far: qemu is 9",
        "lab run ext4-unlinked/bad --at with --base 6.12 --env LAB_N=1",
    ):  # fmt: skip
        assert part in said
    assert "\x1b" not in said, "a console does not steer a terminal"
    assert red.code == 3


def test_html_is_whole_and_escaped(red):
    page = tell.html(red)
    assert "too &lt;slow&gt;" in page
    assert "&lt;EBADF&gt;" in page
    assert "<b>" not in page
    assert page.count("<table") == page.count("</table>") == 1


def test_junit_is_read_by_others(red):
    suites = list(JUnitXml.fromstring(tell.junit(red).encode()))
    assert [(suite.name, suite.tests, suite.failures, suite.errors) for suite in suites] == [
        (CELL, 2, 1, 0), ("6.12/kasan/auto/ext4-rmdir", 1, 0, 1),
    ]  # fmt: skip


def test_a_known_complaint_is_no_red():
    from harness.catalogue.model import Known

    splat = Complaint("0123456789ab", "WARNING in foo", "warning", 1)
    known = {splat.fingerprint: Known(title="t", reason="r", expires=TODAY)}
    judged = judge_night([point("x", False, "splat", complaints=(splat,))], known, TODAY)
    plan = Plan(name="n", title="t", started="s", cells=(CELL,))
    found = Morning(plan, "done", "f", 1.0, (Row(CELL, {"known": 1}, 1.0, ()),), (), (), judged, ())
    assert (found.code, found.headline) == (0, "as expected: 1 cases in 1 cells, 1 known")
    (suite,) = JUnitXml.fromstring(tell.junit(found).encode())
    assert (suite.failures, suite.skipped) == (0, 1)


class Postman(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 for one message."""

    def handle(self):
        self.say(b"220 here")
        for raw in self.rfile:
            word = raw.strip().upper()
            if word == b"DATA":
                self.say(b"354 go on")
                while (line := self.rfile.readline()) != b".\r\n":
                    self.server.lines.append(line)
                self.say(b"250 taken")
            elif word == b"QUIT":
                self.say(b"221 bye")
                return
            else:
                self.say(b"250 yes")

    def say(self, line):
        self.wfile.write(line + b"\r\n")


def test_the_mail_is_sent(red):
    with socketserver.TCPServer(("127.0.0.1", 0), Postman) as server:
        server.lines = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        declared = Mail(
            to=("a@example.org", "b@example.org"),
            sender="lab@example.org",
            smtp=f"127.0.0.1:{server.server_address[1]}",
        )
        mail.send(declared, mail.compose(declared, red))
        server.shutdown()
    text = b"".join(server.lines).decode()
    assert "Subject: [lab] every night: 1 regressions, 1 failed, 1 jobs not run" in text
    assert "To: a@example.org, b@example.org" in text
    assert text.count("Content-Type: text/") == 2


def test_a_mail_that_nobody_takes(red):
    declared = Mail(to=("a@example.org",), sender="lab@example.org", smtp="127.0.0.1:1")
    with pytest.raises(InfraError, match="did not take the mail"):
        mail.send(declared, mail.compose(declared, red))
