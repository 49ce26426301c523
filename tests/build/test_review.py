"""Posted series on a toy kernel: the base they are for, patches that break, and one that means harm."""

import base64
import os
import quopri
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from conftest import TOY, compiled

from harness import process
from harness.catalogue.model import Base
from harness.errors import SeriesError, UserError
from harness.guard import Limits
from harness.kernel import tree
from harness.kernel.build import build
from harness.kernel.request import compose
from harness.paths import Workspace
from harness.review import desk, html, intake
from harness.review.evidence import Ask, gather
from harness.review.posting import assemble
from harness.runner.checked import Check, Outcome
from harness.runner.prepare import Place, Wishes

LINK = ("return -2;", "return 7;")
BREAK = ("return 7;", "return nowhere;")
MEND = ("return nowhere;", "return 8;")
sandboxed = pytest.mark.skipif(not process.sandbox_works(), reason="bubblewrap cannot make namespaces on this host")


class Silent:
    def __getattr__(self, _name):
        return lambda *_args: None


@dataclass
class Tree:
    """A git tree that series are made in."""

    path: Path

    def git(self, *argv):
        who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        return subprocess.run(["git", *who, *argv], cwd=self.path, check=True, capture_output=True, text=True).stdout

    def commit(self, title, name, old, new):
        file = self.path / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        self.git("commit", "-qam", title)
        return self.git("rev-parse", "HEAD").strip()

    def posted(self, since, folder):
        """The commits since one as mails in a folder."""
        self.git("format-patch", "-q", "--cover-letter", f"-o{folder}", f"{since}..HEAD")
        return folder


@pytest.fixture
def linux(tmp_path):
    shutil.copytree(TOY, tmp_path / "linux")
    made = Tree(tmp_path / "linux")
    made.git("init", "-q", "-b", "main")
    made.git("add", "-A")
    made.git("commit", "-qm", "base")
    return made


@pytest.fixture
def place(toy):
    (toy.root / "testcases").mkdir()
    return Place(Workspace(toy.root, toy.root), toy.catalogue(), toy.cache)


def lay_out(place, folder, **more):
    return desk.lay_out(place, assemble(intake.mails([os.fspath(folder)])), **more)


def fetched(place, name="toy"):
    from harness.kernel import source

    source.fetch(name, place.catalogue.bases[name], place.cache, root=place.catalogue.root)


# The base


def test_the_base_is_the_one_with_the_blobs_that_the_patches_want(place, linux, tmp_path):
    fetched(place)
    old = linux.git("rev-parse", "HEAD").strip()
    new = linux.commit("later", "fs/namei.c", "return -2;", "return -3;")
    linux.commit("posted", "fs/namei.c", "return -3;", "return -4;")
    later = Base(title="later", git=os.fspath(linux.path), ref=new)
    earlier = Base(title="earlier", git=os.fspath(linux.path), ref=old)
    bases = {**place.catalogue.bases, "earlier": earlier, "later": later}
    wider = replace(place, catalogue=msgspec.structs.replace(place.catalogue, bases=bases))
    found = lay_out(wider, linux.posted(new, tmp_path / "mails"))
    assert (found.base, found.chosen.why) == ("later", "1 of 1 files are as the patches want them")
    # And in a tree that no base was declared of, at the commit that has just these files.
    found = lay_out(place, tmp_path / "mails", trees=(linux.path,))
    assert found.base == f"linux@{new[:12]}"


def test_a_cover_letter_that_names_a_wrong_base(place, linux, tmp_path):
    wrong = linux.git("rev-parse", "HEAD").strip()
    right = linux.commit("later", "fs/namei.c", "return -2;", "return -3;")
    linux.commit("one", "lib/string.c", "int", "int /* one */")
    linux.commit("two", "fs/namei.c", "return -3;", "return -4;")
    folder = linux.posted(right, tmp_path / "mails")
    cover = folder / "0000-cover-letter.patch"
    cover.write_text(cover.read_text().replace("*** BLURB HERE ***", f"Text.\n\nbase-commit: {wrong}"))
    with pytest.raises(SeriesError) as caught:
        lay_out(place, folder, trees=(linux.path,))
    said = caught.value.message
    assert f"on linux@{wrong[:12]} (base-commit: {wrong[:12]}):" in said
    assert "0002-two.patch (patch 2 of 2)" in said
    assert "the patch wants  '\\treturn -3;'" in said
    assert "the tree has     '\\treturn -2;'" in said
    assert caught.value.hint == (f"it applies to linux@{right[:12]}: --tree {linux.path} --base {right}")
    again = lay_out(place, folder, trees=(linux.path,), base=right)
    assert again.base == f"linux@{right[:12]}"


def test_a_base_commit_that_nobody_has_is_told_and_the_blobs_decide(place, linux, tmp_path):
    fetched(place)
    linux.commit("one", "fs/namei.c", *LINK)
    folder = linux.posted("HEAD~1", tmp_path / "mails")
    cover = folder / "0000-cover-letter.patch"
    cover.write_text(cover.read_text().replace("*** BLURB HERE ***", f"base-commit: {'ab' * 20}"))
    found = lay_out(place, folder)
    assert found.base == "toy"
    assert "which no tree here has" in found.chosen.notes[0]


def test_a_base_commit_that_is_a_base_of_the_lab_itself(place, linux, tmp_path):
    """What a series of the workspace names when it is posted: a source without a history has the lab's own commit."""
    from harness.kernel import source

    here = source.fetch("toy", place.catalogue.bases["toy"], place.cache, root=place.catalogue.root).record.commit
    linux.commit("one", "fs/namei.c", *LINK)
    folder = linux.posted("HEAD~1", tmp_path / "mails")
    cover = folder / "0000-cover-letter.patch"
    cover.write_text(cover.read_text().replace("*** BLURB HERE ***", f"base-commit: {here}"))
    steps = []
    found = lay_out(place, folder, progress=steps.append)
    assert found.chosen.why == f"base-commit: {here[:12]}, 1 of 1 files as the patches want them"
    assert not found.chosen.notes
    assert [(step.stage, step.note) for step in steps] == [("base", "toy"), ("base", "trying toy")]


def test_a_series_that_another_one_must_come_before(place, toy, linux, tmp_path):
    fetched(place)
    first = linux.commit("core", "fs/namei.c", *LINK)
    core = linux.posted("HEAD~1", tmp_path / "core")
    toy.write("kernel-patches/core/series.toml", 'title = "t"\nbases = ["toy"]\n')
    toy.write("kernel-patches/core/0001-core.patch", next(core.glob("0001*")).read_text())
    linux.commit("posted", "fs/namei.c", "return 7;", "return 8;")
    place = replace(place, catalogue=toy.catalogue())
    found = lay_out(place, linux.posted(first, tmp_path / "mails"))
    assert found.chosen.candidate.label == "toy + core"
    with pytest.raises(SeriesError) as caught:
        lay_out(place, tmp_path / "mails", base="toy")
    assert caught.value.hint == "it applies to toy + core: --base toy --requires core"


def test_a_tree_that_is_none(place, linux, tmp_path):
    linux.commit("one", "fs/namei.c", *LINK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: that is no git tree"):
        lay_out(place, linux.posted("HEAD~1", tmp_path / "mails"), trees=(tmp_path / "empty",))


def test_no_base_is_known_at_all(place, linux, tmp_path):
    linux.commit("one", "fs/namei.c", *LINK)
    with pytest.raises(UserError, match="no base is known here"):
        lay_out(place, linux.posted("HEAD~1", tmp_path / "mails"))


# What happens to patches on their way


def whole(head, body, kind="text/plain; charset=utf-8", coding="8bit"):
    return b"%s\nMIME-Version: 1.0\nContent-Type: %s\nContent-Transfer-Encoding: %s\n\n%s" % (
        head, kind.encode(), coding.encode(), body,
    )  # fmt: skip


def parts(head, *contents):
    inner = b"".join(b"--b\nContent-Type: text/%s\n\n%s\n" % content for content in contents)
    return whole(head, inner + b"--b--\n", "multipart/mixed; boundary=b")


WAYS = {
    "as it is": lambda head, body: head + b"\n\n" + body,
    "windows": lambda head, body: (head + b"\n\n" + body).replace(b"\n", b"\r\n"),
    "base64": lambda head, body: whole(head, base64.encodebytes(body), coding="base64"),
    "base64 of windows lines": lambda head, body: whole(
        head, base64.encodebytes(body.replace(b"\n", b"\r\n")), coding="base64"
    ),
    "quoted-printable": lambda head, body: whole(head, quopri.encodestring(body), coding="quoted-printable"),
    "another character set than it says": lambda head, body: whole(
        head, b"caf\xe9\n" + body, "text/plain; charset=x-no"
    ),
    "beside HTML": lambda head, body: parts(head, (b"plain", body), (b"html", b"<p>" + body)),
    "attached": lambda head, body: parts(head, (b"plain", b"See below.\n"), (b"x-patch", body)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_patch_comes_through_a_mailer(place, linux, tmp_path, way):
    fetched(place)
    linux.commit("one", "fs/namei.c", *LINK)
    [path] = [path for path in linux.posted("HEAD~1", tmp_path / "mails").iterdir() if path.name.startswith("0001")]
    head, _, body = path.read_bytes().partition(b"\n")[2].partition(b"\n\n")
    mbox = tmp_path / "one.mbox"
    mbox.write_bytes(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + way(head, body) + b"\n")
    found = lay_out(place, mbox)
    assert (found.base, [patch.title for patch in found.patches]) == ("toy", ["one"])
    assert b"+\treturn 7;\n" in found.patches[0].diff
    review = gather(found, Ask(("lab",), checks=(Check.APPLY,)), Wishes(), Silent())
    assert review.author == "n <n@example.org>"
    assert b"one" in msgspec.json.encode(review)


def test_renames_modes_and_binary_files(place, linux, tmp_path):
    fetched(place)
    linux.git("mv", "lib/string.c", "lib/words.c")
    (linux.path / "fs/namei.c").chmod(0o755)
    (linux.path / "logo.bin").write_bytes(bytes(range(256)))
    linux.git("add", "-A")
    linux.git("commit", "-qm", "odd things")
    linux.git("rm", "-q", "logo.bin")
    linux.git("commit", "-qm", "and one of them gone")
    review = gather(
        lay_out(place, linux.posted("HEAD~2", tmp_path / "mails"), base="toy"),
        Ask(("lab",), checks=(Check.APPLY,)), Wishes(), Silent(),
    )  # fmt: skip
    assert [result.outcome for patch in review.patches for result in patch.results] == [Outcome.GOOD] * 2
    page = html.render(review)
    assert "lib/words.c" in page
    assert "renamed from lib/string.c" in page
    assert "100644 to 100755" in page
    assert "a binary file" in page


# Patch by patch


def reviewed(place, folder, checks=(Check.APPLY, Check.BUILD), **more):
    """The outcomes of a walk, by patch, in letters."""
    review = gather(lay_out(place, folder, base="toy", **more), Ask(("lab",), checks=checks), Wishes(), Silent())
    marks = {Outcome.GOOD: "+", Outcome.RED: "-", Outcome.NOT_DONE: "."}
    return review, ["".join(marks[result.outcome] for result in patch.results) for patch in review.patches]


@sandboxed
def test_a_middle_patch_that_does_not_compile_stops_nothing(place, linux, tmp_path, monkeypatch):
    linux.commit("link", "fs/namei.c", *LINK)
    linux.commit("break", "fs/namei.c", *BREAK)
    linux.commit("mend", "fs/namei.c", *MEND)
    review, marks = reviewed(place, linux.posted("HEAD~3", tmp_path / "mails"))
    assert marks == ["++", "+-", "++"]
    [red] = [result for patch in review.patches for result in patch.results if result.outcome is Outcome.RED]
    assert "fs/namei.c:10:" in red.note
    assert "nowhere" in red.note
    assert not review.good
    # What is wrong with it is known from then on.
    monkeypatch.setattr(tree.WorkTree, "make", lambda *_args: pytest.fail("something is made"))
    again, marks_again = reviewed(place, tmp_path / "mails")
    assert marks_again == marks
    [known] = [result for patch in again.patches for result in patch.results if result.outcome is Outcome.RED]
    assert known.note == red.note
    assert "nowhere" in Path(known.log).read_text()


@sandboxed
def test_a_middle_patch_that_does_not_apply_is_left_out_when_asked(place, linux, tmp_path):
    linux.commit("link", "fs/namei.c", *LINK)
    linux.commit("other", "lib/string.c", "int", "int /* two */")
    folder = linux.posted("HEAD~2", tmp_path / "mails")
    first = next(folder.glob("0001*"))
    first.write_text(first.read_text().replace("return -2;", "return -99;"))
    with pytest.raises(SeriesError, match="patch 1 of 2"):
        lay_out(place, folder, base="toy")
    review, marks = reviewed(place, folder, anyway=True)
    assert marks == ["", "++"]
    assert "the patch wants  '\\treturn -99;'" in review.patches[0].refused
    assert not review.good


@sandboxed
def test_a_second_review_of_the_same_asks_no_compiler(place, linux, tmp_path, monkeypatch):
    linux.commit("link", "fs/namei.c", *LINK)
    folder = linux.posted("HEAD~1", tmp_path / "mails")
    _, first = reviewed(place, folder)
    monkeypatch.setattr(tree.WorkTree, "make", lambda *_args: pytest.fail("something is made"))
    assert reviewed(place, folder)[1] == first == ["++"]


@sandboxed
def test_a_posted_series_begins_with_what_is_built_and_touches_none_of_it(place, toy, linux, tmp_path):
    toy.build()
    [trusted] = [path for path in (toy.cache.root / "trees").iterdir() if path.is_dir()]
    linux.commit("link", "fs/namei.c", *LINK)
    laid = lay_out(place, linux.posted("HEAD~1", tmp_path / "mails"), base="toy")
    before = {path: path.stat().st_mtime_ns for path in trusted.rglob("*") if path.is_file()}
    kernel = build(compose(laid.place.catalogue, "toy", [(laid.name, None)]), place.cache, jobs=2)
    assert compiled(kernel) == ["fs/namei.o"]
    assert {path: path.stat().st_mtime_ns for path in trusted.rglob("*") if path.is_file()} == before
    assert not compose(laid.place.catalogue, "toy").quarantine


def test_what_cannot_be_asked_for_is_told_before_anything_is_looked_at(place, linux, tmp_path, monkeypatch):
    fetched(place)
    linux.commit("one", "fs/namei.c", *LINK)
    laid = lay_out(place, linux.posted("HEAD~1", tmp_path / "mails"))
    monkeypatch.setattr("harness.runner.walk.walk", lambda *_args: pytest.fail("the walk begins"))
    (tmp_path / "README.md").write_text("| day |\n|---|\n| one |\n")
    for ask, said in (
        (Ask(("lab",), patterns=("nosuch",)), "no scenario 'nosuch'"),
        (Ask(("lab",), costs=("nosuch",)), "no scenario 'nosuch'"),
        (Ask(("lab",), answers=tmp_path / "README.md"), "no table of it has a column 'remark'"),
    ):
        with pytest.raises(UserError, match=said):
            gather(laid, ask, Wishes(), Silent())


# A series that means harm


def hostile(place, linux, tmp_path, *recipe):
    """The build log of a series whose vmlinux rule runs ``recipe`` first."""
    lines = "".join(f"\t-@{line}\n" for line in recipe)
    linux.commit("harm", "Makefile", "\t@echo '  LD      $@'\n", f"{lines}\t@echo '  LD      $@'\n")
    review, _ = reviewed(place, linux.posted("HEAD~1", tmp_path / "mails"))
    [_, result] = review.patches[0].results
    return result, Path(result.log).read_text() if result.log else ""


@sandboxed
def test_it_writes_nowhere_and_reads_no_home(place, toy, linux, tmp_path):
    secret = Path.home() / ".lab-test-secret"
    targets = [tmp_path / "outside", toy.cache.root / "kernels" / "planted", Path("/etc/planted"), Path("/tmp/planted")]
    secret.write_text("the-secret-word")
    try:
        writes = [f"echo owned > {path}" for path in targets]
        result, log = hostile(place, linux, tmp_path, *writes, f"cat {secret}", "echo owned > ../Makefile")
    finally:
        secret.unlink()
    assert result.outcome is Outcome.GOOD
    assert not any(path.exists() for path in targets)
    assert "Read-only file system" in log
    assert "the-secret-word" not in log


@sandboxed
def test_it_opens_no_socket(place, linux, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _, log = hostile(place, linux, tmp_path, f"bash -c 'echo hello > /dev/tcp/127.0.0.1/{port} && echo connected'")
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert "connected" not in log
    assert "Connection refused" in log


def sleepers():
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == b"sleep\x0032.7\x00":
                found.append(folder.name)
        except OSError:
            continue
    return found


@sandboxed
def test_it_forks_for_ever(place, linux, tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "LIMITS", Limits(processes=150, silence=60, seconds=60))
    result, _ = hostile(place, linux, tmp_path, "while :; do setsid sleep 32.7 & done")
    assert result.outcome is Outcome.RED
    assert "ran more than 150 processes at once: it was ended" in result.note
    deadline = time.monotonic() + 5
    while sleepers():
        assert time.monotonic() < deadline, "some of them live on"
        time.sleep(0.05)


@sandboxed
@pytest.mark.parametrize(
    ("limits", "recipe", "said"),
    [
        (Limits(500, 1.0, 60), "sleep 32.7", "said nothing for 1 s"),
        (Limits(500, 60, 1.5), "while sleep 0.1; do echo x; done", "did not end within 1.5 s"),
    ],
    ids=["silent", "endless"],
)
def test_it_does_not_end(place, linux, tmp_path, monkeypatch, limits, recipe, said):
    monkeypatch.setattr(tree, "LIMITS", limits)
    result, _ = hostile(place, linux, tmp_path, recipe)
    assert result.outcome is Outcome.RED
    assert f"make {said}: it was ended" in result.note


@pytest.mark.parametrize("name", ["../../etc/passwd", "fs/../../x", "/etc/passwd", ".git/hooks/post-checkout"])
def test_a_path_that_leaves_the_tree_never_reaches_git(place, linux, tmp_path, name, monkeypatch):
    fetched(place)
    linux.commit("one", "fs/namei.c", *LINK)
    folder = linux.posted("HEAD~1", tmp_path / "mails")
    file = next(folder.glob("0001*"))
    prefix = "" if name.startswith("/") else "b/"
    file.write_text(file.read_text().replace("+++ b/fs/namei.c", f"+++ {prefix}{name}"))
    monkeypatch.setattr("harness.kernel.git.Repo.run", lambda *_args, **_more: pytest.fail("git sees it"))
    with pytest.raises(SeriesError, match="refused: "):
        lay_out(place, folder, base="toy")


def test_without_a_sandbox_nothing_is_built_unless_trusted(place, linux, tmp_path, monkeypatch):
    fetched(place)
    linux.commit("one", "fs/namei.c", *LINK)
    folder = linux.posted("HEAD~1", tmp_path / "mails")
    monkeypatch.setattr(process, "sandbox_works", lambda: False)
    with pytest.raises(Exception, match="built in a sandbox, and bubblewrap cannot make one here"):
        lay_out(place, folder, base="toy")
    assert lay_out(place, folder, base="toy", trust=True)
