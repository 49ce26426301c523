"""Read a series of patches and apply it, in git's index alone: no work tree is touched.

A series is a folder with an order file ``series`` (one file name a line, ``#`` starts a comment); without one, its
``0001-*.patch`` ... in order. ``backports/<base>/`` holds what must differ on another base: a patch of the same name
replaces the series' own, an order file there replaces the order.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from harness.cache import digest, stamp
from harness.errors import DeclarationError, SeriesError
from harness.kernel import git, mail
from harness.kernel.patch import Hunk, diff_of, hunks, paths, unsafe

ORDER = "series"
NUMBERED = re.compile(r"\d{4}-.+\.patch")
COVER = re.compile(r"0+-.*")
KNOWN = 1024
"""Patches that are kept parsed."""


@dataclass(frozen=True)
class Patch:
    """One patch: ``number`` of ``of`` in its series; ``diff`` is what it changes, without the mail around it."""

    path: Path
    number: int
    of: int
    data: bytes
    diff: bytes

    @cached_property
    def letter(self) -> mail.Letter:
        """The mail around the diff."""
        return mail.read(self.data)

    @property
    def title(self) -> str:
        return self.letter.subject or self.path.stem

    @cached_property
    def key(self) -> str:
        """Of what it changes alone: a better commit message builds nothing anew."""
        return digest(self.diff)


def read_series(folder: Path, base: str | None = None) -> tuple[Patch, ...]:
    """The patches of a series in order, those for ``base`` where it has its own. Empty when there are none yet.

    Raises DeclarationError for a patch that is listed and missing, or there and not listed, and for one that is no
    patch; SeriesError for one whose paths leave the tree.
    """
    own = folder / "backports" / base if base else None
    places = [place for place in (own, folder) if place and place.is_dir()]
    order = next((place / ORDER for place in places if (place / ORDER).is_file()), None)
    there = {name: place / name for place in reversed(places) for name in _patch_files(place)}
    names = _listed(order, there) if order else sorted(there)
    return tuple(_read(there[name], number, len(names)) for number, name in enumerate(names, 1))


def cover_letter(folder: Path, base: str | None = None) -> Path | None:
    """The cover letter (``0000-*``) of a series, that of its backport to ``base`` when it has one there."""
    places = [folder / "backports" / base, folder] if base else [folder]
    return next((path for place in places for path in sorted(place.glob("0000-*"))), None)


def read_files(files: Sequence[Path]) -> tuple[Patch, ...]:
    """Patch files as a series, in the order given; cover letters (``0000-*``) are left out.

    Raises DeclarationError for a file that is no patch, SeriesError for one whose paths leave the tree.
    """
    patches = [path for path in files if not COVER.fullmatch(path.name)]
    return tuple(_read(path, number, len(patches)) for number, path in enumerate(patches, 1))


def _patch_files(folder: Path) -> list[str]:
    """Names of the patches in a folder: ``NNNN-*.patch``, without the cover letter."""
    names = (path.name for path in folder.glob("*.patch"))
    return [name for name in names if not COVER.fullmatch(name)]


def _listed(order: Path, there: dict[str, Path]) -> list[str]:
    names: list[str] = []
    for number, line in enumerate(order.read_text().splitlines(), 1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if name not in there:
            raise DeclarationError(f"{order}:{number}", f"there is no patch {name}")
        if name in names:
            raise DeclarationError(f"{order}:{number}", f"{name} is listed twice")
        names.append(name)
    forgotten = sorted(name for name in there if name not in names)
    if forgotten:
        raise DeclarationError(str(order), f"does not list {', '.join(forgotten)}", hint="list it, or remove the file")
    return names


def _read(path: Path, number: int, of: int) -> Patch:
    try:
        return _parse(path, number, of, stamp(path))
    except OSError as exc:
        raise DeclarationError(str(path), f"cannot be read: {exc.strerror}") from exc


@lru_cache(maxsize=KNOWN)
def _parse(path: Path, number: int, of: int, _stamp: tuple[int, ...]) -> Patch:
    """A night asks for the same patches hundreds of times; ``_stamp`` is another when the file is."""
    data = path.read_bytes()
    diff = diff_of(mail.body(data))
    if not diff:
        raise DeclarationError(str(path), "has no diff in it")
    for line, name in paths(diff):
        why = unsafe(name)
        if why:
            raise SeriesError(f"{path}: refused: {line.decode(errors='replace')!r} {why}")
    return Patch(path, number, of, data, diff)


def apply(repo: git.Repo, onto: str, patches: Sequence[Patch]) -> tuple[str, ...]:
    """Apply patches on the commit ``onto``. Returns the commit after each, the same ids on every machine.

    States that were made before are found again by what was applied, not by applying. Raises SeriesError that names
    patch, file and hunk, and shows what stands at that place; the repository is as good as before.
    """
    states = _names(onto, patches)
    known = repo.known(states)
    commits = [known[state] for state in itertools.takewhile(known.__contains__, states)]
    if len(commits) == len(patches):
        return tuple(commits)
    with tempfile.TemporaryDirectory(prefix="lab-series-") as scratch:
        index = Path(scratch) / "index"
        repo.run("read-tree", commits[-1] if commits else onto, index=index)
        for position in range(len(commits), len(patches)):
            parent = commits[-1] if commits else onto
            commits.append(_apply_one(repo, index, parent, patches[position]))
            repo.run("update-ref", states[position], commits[-1])
    return tuple(commits)


def applicable(repo: git.Repo, onto: str, patches: Sequence[Patch]) -> tuple[int, str]:
    """How many of the patches apply one after the other, and why the next one does not ("" when all do)."""
    try:
        return len(apply(repo, onto, patches)), ""
    except SeriesError as exc:
        states = _names(onto, patches)
        known = repo.known(states)
        return len(list(itertools.takewhile(known.__contains__, states))), exc.message


def _names(onto: str, patches: Iterable[Patch]) -> list[str]:
    """A ref for the state after each patch."""
    names: list[str] = []
    key = onto
    for patch in patches:
        key = digest(key, patch.key, patch.data)
        names.append(f"refs/lab/{key}")
    return names


def _apply_one(repo: git.Repo, index: Path, parent: str, patch: Patch) -> str:
    done = repo.run(
        "apply", "--cached", "--whitespace=nowarn", "--verbose", "-", index=index, input=patch.diff, check=False
    )
    if not done.ok:
        raise _does_not_apply(repo, parent, patch, done.stderr)
    tree = repo.run("write-tree", index=index).stdout.strip()
    message = f"{patch.title}\n\n{patch.letter.message}".encode(errors="surrogateescape").replace(b"\0", b"")
    return repo.run(
        "commit-tree", tree, "-p", parent, "-F", "-", input=message, env=patch.letter.author_environment()
    ).stdout.strip()


def _does_not_apply(repo: git.Repo, parent: str, patch: Patch, complaint: str) -> SeriesError:
    """What went wrong, told by hunk where git names one, else in git's words."""
    head = f"{patch.path.name} (patch {patch.number} of {patch.of} in {patch.path.parent}) does not apply"
    absent = re.findall(r"^error: (.+): does not exist in index$", complaint, re.MULTILINE)
    gone = "".join(f"{name}: the tree has no such file\n" for name in absent)
    failed = re.search(r"^error: patch failed: (.+):(\d+)$", complaint, re.MULTILINE)
    if failed:
        name, line = failed.group(1), int(failed.group(2))
        hunk = next((each for each in hunks(patch.diff) if each.file == name and each.old_start == line), None)
        if hunk:
            content = repo.run("cat-file", "blob", f"{parent}:{name}", check=False).stdout.splitlines()
            return SeriesError(f"{head}:\n{gone}{_compare(hunk, content)}")
    if gone:
        return SeriesError(f"{head}:\n{gone}".rstrip())
    errors = [line.removeprefix("error: ") for line in complaint.splitlines() if line.startswith("error: ")]
    return SeriesError(f"{head}: {errors[0] if errors else complaint.strip()}")


def _compare(hunk: Hunk, content: list[str]) -> str:
    """The hunk's header, the first line that is not as the patch wants it, and the lines that stand there."""
    start = max(hunk.old_start, 1)
    there = content[start - 1 : start - 1 + len(hunk.before)]
    differs = next((at for at, wanted in enumerate(hunk.before) if at >= len(there) or there[at] != wanted), None)
    said = [f"{hunk.file}: {hunk.header}"]
    if differs is None:
        said.append("  the lines are as the patch wants them, but it wants the file to begin or to end with them")
    else:
        found = repr(there[differs]) if differs < len(there) else "the end of the file"
        said.append(f"  line {start + differs}: the patch wants  {hunk.before[differs]!r}")
        said.append(f"  line {start + differs}: the tree has     {found}")
    if there:
        said.append("the tree there:")
        said += [f"  {start + at:5} {text}" for at, text in enumerate(there)][:12]
    elsewhere = _elsewhere(hunk.before, content)
    if elsewhere and differs is not None:
        said.append(f"the first lines the patch wants stand at line {elsewhere}: what follows them there has changed")
    return "\n".join(said)


def _elsewhere(before: Sequence[str], content: list[str]) -> int | None:
    """Where the hunk's first three lines stand, when they stand at exactly one place."""
    want = list(before[:3])
    if len(want) < 3 or not any(line.strip() for line in want):
        return None
    places = [at + 1 for at in range(len(content) - 2) if content[at : at + 3] == want]
    return places[0] if len(places) == 1 else None
