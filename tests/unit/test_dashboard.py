"""The dashboard: every link leads somewhere, text of guests is text, and what goes wrong stands first."""

import html.parser
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from threading import Thread

import pytest

from harness.catalogue.model import Expectation, Status
from harness.dashboard import draw, site, view
from harness.dashboard.serve import Server
from harness.errors import UserError
from harness.history.store import History
from harness.results import index, model
from harness.results.run import RunFolder
from harness.verdict.judge import CaseRecord, Check, Ended, judge

PASS = Expectation(status=Status.PASS)
GREEN = "TAP version 13\n1..1\nok 1 global.{case}\n"
RED = "TAP version 13\n1..1\n# a.c:1:{case}:link(): EPERM (No), expected success\nnot ok 1 global.{case}\n"


def run(workspace, history, outcomes, key="aaa", wanted=PASS):
    """A run folder with cases that passed or failed, stored in the history; its name."""
    with RunFolder.create(workspace / "results" / "runs", "ext4-<unlinked>") as folder:
        folder.write_manifest(
            model.Manifest(
                scenario="ext4-<unlinked>", argv=("lab", "run", "ext4-<unlinked>"), states=("with",),
                cases=tuple(outcomes), created="2026-01-01T00:00:00Z", accel=model.Accel(name="tcg"),
                kernels=(model.Kernel(state="with", key=key, label="6.12 + mine"),),
            )
        )  # fmt: skip
        for case, good in outcomes.items():
            record = CaseRecord(
                case=case, state="with", ended=Ended.DONE, test=case, exit=0 if good else 1,
                ktap=(GREEN if good else RED).format(case=case), console="<script>alert(1)</script>\n", unmount="",
                check=Check(exit=0),
            )  # fmt: skip
            folder.add(record, judge(record), wanted)
        folder.finish()
        history.note(index.entry(folder.path))
        return folder.path.name


@pytest.fixture
def history(tmp_path):
    with History(tmp_path / "results" / "history.db") as history:
        yield history


@pytest.fixture
def built(tmp_path, history):
    """A case that passes, and one that passed and then failed twice."""
    for good in (True, False, False):
        run(tmp_path, history, {"steady": True, "broken": good}, key="aaa" if good else "bbb")
    folder = tmp_path / "results" / "dashboard"
    site.write(history, folder)
    return folder


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.ids = [], set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.found += [attrs[name] for name in ("href", "src") if name in attrs]
        if "id" in attrs:
            self.ids.add(attrs["id"])


def links(path):
    reader = Links()
    reader.feed(path.read_text())
    return reader


def test_every_link_of_every_page_leads_somewhere(built):
    pages = list(built.rglob("*.html"))
    assert len(pages) == 3 + 2 + 3
    for page in pages:
        for link in links(page).found:
            assert not urllib.parse.urlparse(link).scheme, link
            path, _, fragment = link.partition("#")
            target = (page.parent / urllib.parse.unquote(path)).resolve() if path else page
            assert target.exists(), f"{page}: {link}"
            if fragment and target.suffix == ".html":
                assert urllib.parse.unquote(fragment) in links(target).ids, f"{page}: {link}"


def test_what_goes_wrong_stands_first(built):
    text = (built / "index.html").read_text()
    assert "1 regression" in text
    assert text.index("broken") < text.index('id="matrix"')


def test_what_a_guest_wrote_is_text(built):
    for page in built.rglob("*.html"):
        assert "<script>alert" not in page.read_text()
    assert any("&lt;script&gt;alert(1)" in page.read_text() for page in (built / "run").glob("*.html"))


def test_a_run_shows_why_and_how_again(built):
    text = next(text for page in (built / "run").glob("*.html") if "wanted PASS" in (text := page.read_text()))
    for part in ("EPERM", "reproduce.sh", "6.12 + mine", "ktap.log"):
        assert part in text


def test_conditions_stand_in_the_order_in_which_the_kernel_grows():
    words = [f"{state}, {base}, tcg" for base in ("6.1", "6.12") for state in ("base", "without", "2", "10", "with")]
    assert sorted(reversed(words), key=view._as_the_kernel_grows) == words


def test_red_that_was_to_be_expected_is_grey(history, tmp_path):
    red = Expectation(status=Status.FAIL, reason="EPERM")
    names = [run(tmp_path, history, {"case": False}, wanted=wanted) for wanted in (red, PASS)]
    site.write(history, tmp_path / "site")
    due, unmet = ((tmp_path / "site" / urllib.parse.unquote(view.run_page(name))).read_text() for name in names)
    assert 'class="mark FAIL due"' in due
    assert 'class="mark FAIL unmet"' in unmet


def test_runs_are_written_once_and_forgotten_with_the_memory(built, history, tmp_path):
    name = run(tmp_path, history, {"steady": True})
    again = site.write(history, built)
    assert again.kept == 3
    assert len(list((built / "run").glob("*.html"))) == 4
    with history.writing() as db:
        db.execute("DELETE FROM run WHERE name = ?", (name,))
    site.write(history, built)
    assert len(list((built / "run").glob("*.html"))) == 3


def test_what_is_somebodys_own_is_neither_written_over_nor_taken_away(built, history, tmp_path):
    home = tmp_path / "public_html"
    home.mkdir()
    (home / "index.html").write_text("my own")
    with pytest.raises(UserError, match="no dashboard"):
        site.write(history, home)
    assert [path.name for path in home.iterdir()] == ["index.html"]
    (built / "run" / "notes.html").write_text("my own")
    site.write(history, built)
    assert (built / "run" / "notes.html").read_text() == "my own"


def test_the_list_of_runs_is_data_for_the_browser(built):
    text = (built / "data" / "runs.js").read_text()
    assert "<" not in text
    rows = json.loads(text.removeprefix("window.rows = ").rstrip().removesuffix(";"))
    assert [row[4] for row in rows] == ["unexpected", "unexpected", "as expected"]


def test_an_empty_memory_says_what_to_do(history, tmp_path):
    done = site.write(history, tmp_path / "site")
    assert "lab run" in done.index.read_text()


@pytest.fixture
def served(built, tmp_path):
    """The site over HTTP, with the folders of its runs; gives its address."""
    with Server(built, tmp_path / "results" / "runs", 0) as server:
        Thread(target=server.run, daemon=True).start()
        yield server.address
        server.stop()


def test_every_link_leads_somewhere_when_served_too(built, served):
    for page in built.rglob("*.html"):
        here = served + urllib.parse.quote(str(page.relative_to(built)))
        for link in links(page).found:
            with urllib.request.urlopen(urllib.parse.urljoin(here, link), timeout=5) as reply:
                assert reply.status == 200, f"{page}: {link}"


def test_what_a_guest_wrote_is_served_as_text(served, tmp_path):
    log = next((tmp_path / "results" / "runs").rglob("console.log")).relative_to(tmp_path / "results")
    with urllib.request.urlopen(served + urllib.parse.quote(str(log)), timeout=5) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["runs/../secret", "runs/%2e%2e/secret", "runs/..%2fsecret", "runs//../../secret"])
def test_nothing_else_is_served(served, tmp_path, path):
    (tmp_path / "results" / "secret").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(served).netloc, timeout=5)
    connection.request("GET", f"/{path}")
    assert connection.getresponse().status == 404


def test_it_is_served_to_this_machine_alone(built, tmp_path):
    with Server(built, tmp_path / "results" / "runs", 0) as server:
        Thread(target=server.run, daemon=True).start()
        assert server.address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(server.address, timeout=5) as reply:
            assert b"1 regression" in reply.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.address + "data/", timeout=5)
        server.stop()


def test_a_strip_says_what_it_shows():
    drawn = draw.strip([draw.Mark("bad", "it <failed>", "run/a.html")], "one outcome")
    assert 'aria-label="one outcome"' in drawn
    assert "it &lt;failed&gt;" in drawn


def test_a_line_of_one_value_is_drawn():
    assert "M130.0" in draw.line([draw.Spot(5, "five")], "a value")


def test_names_that_are_no_file_names_have_pages():
    assert view.case_page("ext4-a", "../x@3") == "case/ext4-a/%252E.%252Fx%403.html"
