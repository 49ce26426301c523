"""Series: read in order, refused when they lead out of the tree, applied the same way everywhere."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DeclarationError, SeriesError
from harness.kernel import git, mail
from harness.kernel.patch import diff_of, hunks, paths, unsafe
from harness.kernel.series import apply, read_series

NAMEI = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
DIFF = """\
diff --git a/fs/namei.c b/fs/namei.c
--- a/fs/namei.c
+++ b/fs/namei.c
@@ -2,3 +2,3 @@ int context(void)
 two
-three
+THREE
 four
"""


def letter(diff=DIFF, title="fs: shout", author="A Person <person@example.org>"):
    return (
        "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
        f"From: {author}\nDate: Thu, 1 Jan 2026 10:00:00 +0100\nSubject: [PATCH v2 1/2] {title}\n\n"
        f"Why it is so.\n\nSigned-off-by: {author}\n---\n fs/namei.c | 2 +-\n\n{diff}-- \n2.39.5\n"
    )


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / (name if name == "series" else f"{name[1:].replace('_', '-')}.patch")
        path.write_text(text)
    return folder


@pytest.fixture
def repo(tmp_path):
    made = git.init(tmp_path / "repo")
    blob = made.run("hash-object", "-w", "--stdin", input=NAMEI.encode()).stdout.strip()
    fs = made.run("mktree", input=f"100644 blob {blob}\tnamei.c\n".encode()).stdout.strip()
    tree = made.run("mktree", input=f"040000 tree {fs}\tfs\n".encode()).stdout.strip()
    made.run("update-ref", "refs/heads/base", made.read("commit-tree", tree, "-m", "base"))
    return made


def content(repo, commit, name="fs/namei.c"):
    return repo.run("cat-file", "blob", f"{commit}:{name}").stdout


def test_the_order_file_decides(tmp_path):
    folder = write(tmp_path, p0001_a=letter(title="a"), p0002_b=letter(title="b"), p0000_cover="Subject: all\n")
    assert [patch.title for patch in read_series(folder)] == ["a", "b"]
    (folder / "series").write_text("# turned round\n0002-b.patch\n\n0001-a.patch  # last\n")
    read = read_series(folder)
    assert [(patch.title, patch.number, patch.of) for patch in read] == [("b", 1, 2), ("a", 2, 2)]


def test_the_order_file_and_the_folder_must_agree(tmp_path):
    folder = write(tmp_path, p0001_a=letter(), p0002_b=letter(), series="0001-a.patch\n")
    with pytest.raises(DeclarationError, match=r"series: does not list 0002-b.patch"):
        read_series(folder)
    (folder / "series").write_text("0001-a.patch\n0002-b.patch\n0003-c.patch\n")
    with pytest.raises(DeclarationError, match=r"series:3: there is no patch 0003-c.patch"):
        read_series(folder)
    (folder / "series").write_text("0001-a.patch\n0002-b.patch\n0001-a.patch\n")
    with pytest.raises(DeclarationError, match=r"series:3: 0001-a.patch is listed twice"):
        read_series(folder)


def test_a_patch_is_parsed_once_and_again_when_its_file_is_another(tmp_path):
    folder = write(tmp_path / "s", _0001_one=letter(title="fs: shout"))
    (first,) = read_series(folder)
    assert read_series(folder)[0] is first
    write(folder, _0001_one=letter(title="fs: whisper"))
    assert read_series(folder)[0].title == "fs: whisper"


def test_a_backport_replaces_the_patch_of_its_name(tmp_path):
    folder = write(
        tmp_path, p0001_a=letter(title="a"), p0002_b=letter(title="b"), series="0001-a.patch\n0002-b.patch\n"
    )
    write(folder / "backports" / "6.1", p0002_b=letter(title="b for 6.1"))
    assert [patch.title for patch in read_series(folder, "6.1")] == ["a", "b for 6.1"]
    assert [patch.title for patch in read_series(folder, "6.12")] == ["a", "b"]
    write(folder / "backports" / "6.1", p0003_c=letter(title="c"), series="0003-c.patch\n0001-a.patch\n0002-b.patch\n")
    assert [patch.title for patch in read_series(folder, "6.1")] == ["c", "a", "b for 6.1"]


def test_a_file_without_a_diff_is_no_patch(tmp_path):
    with pytest.raises(DeclarationError, match="has no diff"):
        read_series(write(tmp_path, p0001_a="Subject: hello\n\nno diff here\n"))


@pytest.mark.parametrize(
    "diff",
    [
        DIFF.replace("b/fs/namei.c", "b/../../etc/passwd"),
        "--- a/x\n+++ b/fs/../../x\n@@ -1 +1 @@\n-a\n+b\n",
        "--- /dev/null\n+++ /etc/cron.d/x\n@@ -0,0 +1 @@\n+b\n",
        "diff --git a/x b/.git/hooks/post-checkout\nnew file mode 100755\n",
        "diff --git a/x b/y\nrename from x\nrename to ../y\n",
        'diff --git a/x b/y\n--- /dev/null\n+++ "b/\\056\\056/y"\n@@ -0,0 +1 @@\n+b\n',
        "diff --git a/x b/.GIT/config\nnew file mode 100644\n",
    ],
)
def test_paths_that_leave_the_tree_are_refused_before_git_sees_them(tmp_path, diff):
    with pytest.raises(SeriesError, match="refused"):
        read_series(write(tmp_path, p0001_a=letter(diff)))


def test_a_mail_in_disguise_is_read_as_what_it_is(tmp_path):
    hidden = base64.encodebytes(DIFF.replace("b/fs", "b/../fs").encode()).decode()
    text = f"Subject: x\nContent-Transfer-Encoding: base64\nContent-Type: text/plain\n\n{hidden}"
    with pytest.raises(SeriesError, match="leaves the tree"):
        read_series(write(tmp_path, p0001_a=text))


def test_removed_lines_that_look_like_names_are_not_names():
    diff = b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/../evil\n+++ b/../evil\n same\n"
    assert [name for _, name in paths(diff)] == ["x", "x"]
    [hunk] = hunks(diff)
    assert hunk.before == ("-- a/../evil", "same")


def test_the_mails_signature_is_not_part_of_the_diff():
    body = mail.read(letter().encode()).body
    assert diff_of(body) == DIFF.encode()
    assert diff_of(b"words only\n") == b""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_plain_mail_is_cut_where_a_mail_reader_would_cut_it(end):
    data = letter().replace("\n", end).encode()
    assert mail.body(data) == mail.read(data).body
    crlf = letter("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\r\n\r\n+b\r\n").encode()
    assert mail.body(crlf) == mail.read(crlf).body


@given(st.text(), st.text())
def test_no_text_makes_the_readers_fail(head, tail):
    data = f"{head}\ndiff --git a/{tail}\n--- a/x\n+++ b/x\n@@ -1,3 +1 @@\n{tail}".encode(errors="replace")
    body = mail.read(data).body
    list(paths(diff_of(body)))
    list(hunks(diff_of(body)))


@given(st.lists(st.sampled_from(["fs", "..", ".git", "a.c", ".", "", ".gitignore"]), min_size=1, max_size=5))
def test_what_is_called_safe_stays_inside(parts):
    name = "/".join(parts)
    safe = not name.startswith("/") and ".." not in parts and ".git" not in parts
    assert (unsafe(name) is None) == safe


def test_applied_patches_are_commits_by_their_authors_with_the_same_ids_everywhere(repo, tmp_path):
    folder = write(tmp_path / "s", p0001_a=letter(author="Jörg Müller <j@example.org>"))
    base = repo.resolve("refs/heads/base")
    [commit] = apply(repo, base, read_series(folder))
    assert "THREE" in content(repo, commit)
    assert repo.read("log", "-1", "--format=%an <%ae> %ad | %s | %b", commit).startswith(
        "Jörg Müller <j@example.org> Thu Jan 1 10:00:00 2026 +0100 | fs: shout | Why it is so."
    )
    assert repo.read("log", "-1", "--format=%cn %ct", commit) == "lab 1767225600"
    other = git.init(tmp_path / "other")
    other.run("fetch", "--quiet", str(repo.path), "refs/heads/base:refs/heads/base")
    assert apply(other, base, read_series(folder)) == (commit,)


def test_states_made_before_are_found_again(repo, tmp_path, monkeypatch):
    folder = write(tmp_path / "s", p0001_a=letter())
    base = repo.resolve("refs/heads/base")
    first = apply(repo, base, read_series(folder))
    monkeypatch.setattr("harness.kernel.series._apply_one", None)
    assert apply(repo, base, read_series(folder)) == first


def test_a_patch_that_does_not_apply_names_patch_file_hunk_and_what_is_there(repo, tmp_path):
    second = DIFF.replace("-three\n+THREE", "-three\n+3")
    folder = write(tmp_path / "s", p0001_a=letter(), p0002_b=letter(second))
    base = repo.resolve("refs/heads/base")
    with pytest.raises(SeriesError) as caught:
        apply(repo, base, read_series(folder))
    text = caught.value.message
    assert text.startswith("0002-b.patch (patch 2 of 2 in ")
    assert "fs/namei.c: @@ -2,3 +2,3 @@ int context(void)" in text
    assert "line 3: the patch wants  'three'" in text
    assert "line 3: the tree has     'THREE'" in text
    (folder / "0002-b.patch").unlink()
    assert len(apply(repo, base, read_series(folder))) == 1


def test_a_patch_for_a_place_that_moved_says_where_its_lines_are(repo, tmp_path):
    moved = "--- a/fs/namei.c\n+++ b/fs/namei.c\n@@ -1,4 +1,4 @@\n four\n five\n six\n-eight\n+8\n"
    with pytest.raises(SeriesError, match="the first lines the patch wants stand at line 4"):
        apply(repo, repo.resolve("refs/heads/base"), read_series(write(tmp_path / "s", p0001_a=letter(moved))))


def test_a_hunk_without_context_must_stand_at_the_files_end(repo, tmp_path):
    bare = "--- a/fs/namei.c\n+++ b/fs/namei.c\n@@ -1 +1,2 @@\n one\n+more\n"
    with pytest.raises(SeriesError, match="it wants the file to begin or to end with them"):
        apply(repo, repo.resolve("refs/heads/base"), read_series(write(tmp_path / "s", p0001_a=letter(bare))))


def test_a_patch_for_a_file_that_is_not_there(repo, tmp_path):
    gone = DIFF.replace("namei", "gone")
    with pytest.raises(SeriesError, match=r"fs/gone.c: the tree has no such file"):
        apply(repo, repo.resolve("refs/heads/base"), read_series(write(tmp_path / "s", p0001_a=letter(gone))))


def test_the_users_git_settings_and_hooks_do_not_count(repo, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[apply]\n\twhitespace = fix\n[user]\n\tname = Somebody Else\n[core]\n\tautocrlf = true\n"
    )
    monkeypatch.setenv("HOME", str(home))
    spaces = DIFF.replace("+THREE\n", "+THREE   \n")
    [commit] = apply(repo, repo.resolve("refs/heads/base"), read_series(write(tmp_path / "s", p0001_a=letter(spaces))))
    assert "THREE   \n" in content(repo, commit)
    assert repo.read("log", "-1", "--format=%cn", commit) == "lab"
