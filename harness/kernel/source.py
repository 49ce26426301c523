"""Fetch a base: its source as one commit of a bare repository in the cache.

What was fetched is recorded (``source.json``: origin, package version, sha256, tree), and remembered by declaration:
a base that was fetched once needs neither network nor apt until ``refresh`` asks again. A git tree is asked for its
ref's commit each time; nothing is written to it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from harness import process
from harness.cache import Cache, digest, host_errors, lock
from harness.catalogue.model import Base
from harness.errors import CommandError, UserError
from harness.kernel import git, origin, pack
from harness.progress import Progress, Step, silent

if TYPE_CHECKING:
    import tarfile

IMPORTER = "1"
"""Raise it when the import changes what it makes."""

XZ_MAGIC = b"\xfd7zXZ\0"
STREAM_BUFFER = 1 << 15
"""Bytes: tarfile copies the rest of its buffer at each read, and a kernel takes 400 000 of them."""
COMMIT_REF = "refs/heads/base"


class Record(msgspec.Struct, frozen=True):
    """source.json: what exactly a source is."""

    version: str
    tree: str
    commit: str
    origin: str
    sha256: str = ""  # of the tarball
    package_version: str = ""


@dataclass(frozen=True)
class Source:
    """A base's source. ``repo`` is a bare repository whose ``commit`` has the git tree ``tree``."""

    name: str
    key: str
    repo: Path
    record: Record

    @property
    def version(self) -> str:
        return self.record.version


def fetch(
    name: str, base: Base, cache: Cache, progress: Progress = silent, *, root: Path | None = None, refresh: bool = False
) -> Source:
    """The source of a base. Relative paths of its declaration start at ``root`` (default: the current folder).

    Raises UserError (a file that is missing, a wrong checksum, a tree that is no kernel), InfraError (no network, no
    space).
    """
    root = root or Path.cwd()
    if base.git:
        return _from_git(name, base, root, cache, progress)
    declared = cache.root / "declared" / f"{_declaration(base, root)}.json"
    known = None if refresh else _remembered(name, declared, cache)
    if known:
        return known
    with (
        host_errors(f"fetching {name} into {cache.root}"),
        lock(declared.with_suffix(".lock"), lambda: progress(Step("wait", note=f"another lab fetches {name}"))),
    ):
        return (None if refresh else _remembered(name, declared, cache)) or _from_tarball(
            name, base, root, declared, cache, progress, refresh
        )


def known(name: str, base: Base, cache: Cache, *, root: Path) -> Source | None:
    """The source of a base if it was fetched before; None otherwise, and nothing is fetched.

    Raises UserError for a git tree or a ref that is not there.
    """
    if not base.git:
        return _remembered(name, cache.root / "declared" / f"{_declaration(base, root)}.json", cache)
    key = _git_key(origin.local_path(base.git, root), base)[0]
    entry = cache.get("sources", key)
    return _load(name, key, entry) if entry else None


def commit_of(base: Base, root: Path) -> str:
    """The commit that a git base's ref means now; empty for a base that has none.

    Raises UserError for a git tree or a ref that is not there.
    """
    if not base.git:
        return ""
    path = origin.local_path(base.git, root)
    return _ask_git(path, "--verify", "--end-of-options", f"{base.ref}^{{commit}}", taking=base.ref)


def ask_git(base: Base, root: Path, *question: str) -> str:
    """What git says of a git base's own tree; nothing is written there.

    Raises UserError when it has no answer.
    """
    path = origin.local_path(base.git, root)
    asked = process.run(["git", *git.READ_ONLY, "-C", str(path), *question], env=git.QUIET, check=False)
    if not asked.ok:
        raise UserError(f"{path}: git {question[0]}: {asked.stderr.strip().removeprefix('fatal: ')}")
    return asked.stdout.rstrip("\n")


def _git_key(path: Path, base: Base) -> tuple[str, str]:
    """The key of what is imported of a git tree, and the tree it is."""
    tree = _ask_git(path, "--verify", "--end-of-options", f"{base.ref}^{{tree}}", taking=base.ref)
    return digest(IMPORTER, "git", tree), tree


def _declaration(base: Base, root: Path) -> str:
    """A key of all that decides what is fetched. A local file counts with size and age."""
    parts = [IMPORTER, base.package, base.url, base.sha256]
    if base.tarball:
        path = origin.local_path(base.tarball, root)
        facts = path.stat() if path.is_file() else None
        parts += [str(path), f"{facts.st_size} {facts.st_mtime_ns}" if facts else ""]
    return digest(*parts)


def _remembered(name: str, declared: Path, cache: Cache) -> Source | None:
    try:
        key = msgspec.json.decode(declared.read_bytes(), type=str)
    except (OSError, msgspec.DecodeError):
        return None
    entry = cache.get("sources", key)
    return _load(name, key, entry) if entry else None


def _load(name: str, key: str, entry: Path) -> Source:
    return Source(name, key, entry / "git", msgspec.json.decode((entry / "source.json").read_bytes(), type=Record))


def _from_tarball(
    name: str, base: Base, root: Path, declared: Path, cache: Cache, progress: Progress, refresh: bool
) -> Source:
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=cache.root) as scratch:
        tarball = origin.get(base, root, Path(scratch), progress, refresh=refresh)
        key = digest(IMPORTER, "tarball", tarball.sha256)

        def build(entry: Path) -> None:
            repo = git.init(entry / "git")
            tree = _import(repo, tarball.path, progress)
            _record(entry, repo, tree, tarball.origin, tarball.sha256, tarball.package_version)

        entry = cache.make("sources", key, build)
    partial = declared.with_suffix(".new")
    partial.write_bytes(msgspec.json.encode(key))
    partial.rename(declared)
    return _load(name, key, entry)


def _from_git(name: str, base: Base, root: Path, cache: Cache, progress: Progress) -> Source:
    path = origin.local_path(base.git, root)
    key, tree = _git_key(path, base)
    objects = path / _ask_git(path, "--git-path", "objects", taking="the objects")

    def build(entry: Path) -> None:
        progress(Step("unpack", note=f"{base.ref} of {path}"))
        repo = git.init(entry / "git")
        target = entry / "git" / "objects" / "pack" / "pack"
        # The tree alone, without history; window 0 keeps what is packed as it is and compares nothing. The user's
        # objects are borrowed for reading: pack-objects in their own tree would write there.
        lender = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects)}
        argv = ["pack-objects", "--revs", "--quiet", "--window=0", str(target)]
        repo.run(*argv, input=f"{tree}\n".encode(), env=lender)
        _record(entry, repo, tree, f"{base.ref} of {path}")

    return _load(name, key, cache.make("sources", key, build))


def _ask_git(path: Path, *question: str, taking: str) -> str:
    if not path.is_dir():
        raise UserError(f"the git tree {path} is not there")
    asked = process.run(["git", *git.READ_ONLY, "-C", str(path), "rev-parse", *question], env=git.QUIET, check=False)
    if not asked.ok:
        why = asked.stderr.strip().removeprefix("fatal: ")
        raise UserError(f"cannot take {taking!r} of {path}: {why}")
    return asked.stdout.rstrip("\n")


def _quoted(path: Path) -> str:
    """A folder for git's list of them, which colons separate."""
    escaped = str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _record(entry: Path, repo: git.Repo, tree: str, where: str, sha256: str = "", package_version: str = "") -> None:
    version = _version(repo, tree, where)
    commit = repo.read("commit-tree", tree, "-m", f"linux {version}")
    repo.run("update-ref", COMMIT_REF, commit)
    record = Record(version, tree, commit, where, sha256, package_version)
    (entry / "source.json").write_bytes(msgspec.json.format(msgspec.json.encode(record)))


def _version(repo: git.Repo, tree: str, where: str) -> str:
    """The kernel's version as its Makefile has it."""
    makefile = repo.run("cat-file", "blob", f"{tree}:Makefile", check=False).stdout
    words: dict[str, str] = dict(
        re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*?)[ \t]*$", makefile, re.M)
    )
    if not {"VERSION", "PATCHLEVEL"} <= words.keys():
        raise UserError(f"{where} is no kernel source: there is no Makefile with VERSION and PATCHLEVEL at its top")
    numbers = [words[word] for word in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if words.get(word)]
    return ".".join(numbers) + words.get("EXTRAVERSION", "")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The tarball's bytes; xz, which everybody uses for kernels, by the program that unpacks with all processors."""
    with path.open("rb") as stream:
        if stream.read(len(XZ_MAGIC)) != XZ_MAGIC or process.find("xz") is None:
            stream.seek(0)
            yield stream
            return
    argv = ("xz", "--decompress", "--stdout", "--threads=0", "--", str(path))
    with process.start(argv, stdout=process.PIPE, stderr=process.PIPE) as child:
        out, err = child.popen.stdout, child.popen.stderr
        assert out is not None
        assert err is not None
        yield out
        out.read()  # what is behind the archive's end, so that xz can end too
        complaint = err.read().decode(errors="replace")
        if child.wait() != 0:
            raise CommandError(argv, child.wait(), complaint)


def _import(repo: git.Repo, tarball: Path, progress: Progress) -> str:
    """All files of a tarball, without its top folder, into the repository. Returns the tree's id."""
    import tarfile

    try:
        with (
            _opened(tarball) as stream,
            tarfile.open(fileobj=stream, mode="r|*", bufsize=STREAM_BUFFER) as tar,
            pack.PackWriter(repo.path / "objects" / "pack") as writer,
        ):
            tree = pack.TreeWriter(writer)
            for number, member in enumerate(tar):
                _import_member(tar, member, writer, tree)
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all 90 000
                if number % 1000 == 0:
                    progress(Step("unpack", number, note="files"))
            return tree.write()
    except (tarfile.TarError, CommandError, EOFError) as exc:
        raise UserError(f"{tarball} cannot be unpacked: {exc}") from exc


def _import_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, writer: pack.PackWriter, tree: pack.TreeWriter
) -> None:
    path = _inside(member.name)
    if path is None or member.isdir():
        return
    if member.issym():
        tree.add(path, pack.SYMLINK, writer.add(pack.BLOB, member.linkname.encode(errors="surrogateescape")))
    elif member.islnk():
        target = _inside(member.linkname)
        known = tree.find(target) if target else None
        if known is None:
            raise UserError(f"{member.name} is a hard link to {member.linkname}, which is not in the tarball")
        tree.add(path, *known)
    elif member.isreg():
        content = tar.extractfile(member)
        assert content is not None
        mode = pack.PROGRAM if member.mode & 0o100 else pack.FILE
        tree.add(path, mode, writer.add(pack.BLOB, content.read()))


def _inside(name: str) -> bytes | None:
    """A member's path below the tarball's top folder, None for that folder itself.

    Raises UserError for a path that would leave the tree or reach git's own files.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or any(part.lower() == ".git" for part in parts):
        raise UserError(f"the tarball has a file at {name!r}: a kernel source has none there")
    return "/".join(parts[1:]).encode(errors="surrogateescape") or None
