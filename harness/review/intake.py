"""Where mails come from: a mbox, standard input, a folder, patch files, a git range, a message-id.

What is taken in is text for the lab to read; nothing of it is executed, and git gets to see a patch only after its
paths have been looked at (harness.kernel.series).
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness import process
from harness.errors import CommandError, InfraError, UserError
from harness.kernel import git
from harness.review import mbox
from harness.review.posting import Mail, Posting, parse

MESSAGE_ID = re.compile(r"^<?(?P<id>(?!-)[^\s<>/]+@[^\s<>/]+)>?$")
ARCHIVE = re.compile(r"^https?://.+/(?P<id>(?!-)[^\s<>/]+@[^\s<>/]+?)/?(?:[#?].*|t\.mbox\.gz|raw)?$")
TYPED = "-"
RANGE = re.compile(r"^\S+\.\.\S+$")
PATIENCE = 120.0
"""Seconds for b4 to fetch a thread."""


def mails(sources: Sequence[str], tree: Path | None = None) -> list[Mail]:
    """All mails that the sources hold, in order. ``tree`` is the git tree that a range is of (default: this one).

    Raises UserError for a source that is not there or not understood, InfraError when b4 cannot be had.
    """
    found: list[Mail] = []
    for source in sources:
        found += [parse(data) for data in _of(source, tree or Path.cwd())]
    return found


def _of(source: str, tree: Path) -> list[bytes]:
    if source == TYPED:
        return _typed()
    path = Path(source)
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix in (".patch", ".eml", ".mbox", ".mbx"))
        if not files:
            raise UserError(f"the folder {source} has no *.patch, *.eml or *.mbox")
        return [data for each in files for data in mbox.mails(each.read_bytes(), os.fspath(each))]
    if path.is_file():
        return mbox.mails(path.read_bytes(), source)
    if RANGE.match(source):
        return _range(source, tree)
    for pattern in (ARCHIVE, MESSAGE_ID):
        found = pattern.match(source)
        if found:
            return _thread(found["id"])
    raise UserError(
        f"{source!r} is no file, folder, git range or message-id",
        hint="lab review series.mbox, cat *.patch | lab review -, lab review patches/, A..B or <message-id>",
    )


def _typed() -> list[bytes]:
    """What comes on standard input, to its end."""
    data = sys.stdin.buffer.read(mbox.MOST + 1)
    if len(data) > mbox.MOST:
        raise UserError(f"standard input has more than {mbox.MOST >> 20} MiB of mails")
    return mbox.mails(data, "standard input")


def _range(source: str, tree: Path) -> list[bytes]:
    """The commits of a range as mails, with the base that they are for. The tree is only read."""
    first, last = (name or "HEAD" for name in re.split(r"\.{2,3}", source, maxsplit=1))
    options = ["--quiet", "--no-signature", "--full-index", "--binary", "--no-ext-diff", "--no-textconv"]
    argv = ["git", *git.READ_ONLY, "-C", os.fspath(tree)]
    with tempfile.TemporaryDirectory(prefix="lab-range.") as folder:
        try:
            base = process.run([*argv, "merge-base", "--end-of-options", first, last], env=git.QUIET).stdout.strip()
            process.run(
                [*argv, "format-patch", *options, f"--base={base}", f"-o{folder}", "--end-of-options", source],
                env=git.QUIET,
            )
        except CommandError as exc:
            raise UserError(f"{source} of {tree}: {exc.message}", hint="--tree PATH names another git tree") from exc
        files = sorted(Path(folder).iterdir())
        if not files:
            raise UserError(f"{source} of {tree} has no commits")
        return [each.read_bytes() for each in files]


def _thread(message_id: str) -> list[bytes]:
    """The thread of a message-id, fetched by b4."""
    if process.find("b4") is None:
        raise InfraError(
            f"{message_id}: fetching a thread takes b4, and that is not installed",
            hint="`pipx install b4`; or save the thread as a mbox and give that: no network is needed then",
        )
    with tempfile.TemporaryDirectory(prefix="lab-b4.") as folder:
        env = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "https_proxy") if name in os.environ}
        argv = ["b4", "--quiet", "mbox", "--outdir", folder, "--mbox-name", "thread.mbx", message_id]
        try:
            process.run(argv, env=env, cwd=Path(folder), timeout=PATIENCE)
        except CommandError as exc:
            raise InfraError(
                f"b4 could not fetch {message_id}: {exc.message}",
                hint="is the network there? A saved mbox of the thread does as well",
            ) from exc
        found = [each for each in Path(folder).iterdir() if each.is_file()]
        if not found:
            raise InfraError(f"b4 fetched nothing for {message_id}", hint="is the message-id complete?")
        return mbox.mails(found[0].read_bytes(), message_id)


def store(posting: Posting, folder: Path) -> Path:
    """The series as files, the form in which the lab has all series: ``0001-*.patch`` ... and the cover letter."""
    folder.mkdir(parents=True, exist_ok=True)
    if posting.cover:
        (folder / "0000-cover-letter.patch").write_bytes(posting.cover.data)
    for patch in posting.patches:
        (folder / posting.file_name(patch)).write_bytes(patch.data)
    return folder
