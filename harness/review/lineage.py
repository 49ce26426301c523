"""Which commit of somebody's git tree has certain versions of some files. The tree is only read.

A clone of Linux has a thousand tags: the tips are asked in one go, and one walk over the history of these files, from
all tips, does for whatever lies between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.review.blobs import ask, is_as_wanted

DEPTH = 20000
"""Commits to these files that are looked at."""
NOTHING = "0" * 40


@dataclass(frozen=True)
class _Commit:
    """A commit that touched the files, with what it made of them against its first parent (zeros: removed)."""

    name: str
    parent: str
    changes: dict[str, str]


def newest_with(tree: Path, wanted: Mapping[str, str]) -> str:
    """The newest commit whose files are all as wanted (blobs by name, as ``blobs.wanted``), "" when there is none."""
    tips = _tips(tree)
    return (_tip(tree, tips, wanted) or _between(tree, tips, wanted)) if tips else ""


def _tips(tree: Path) -> list[str]:
    """HEAD and what branches and tags lead to, the newest first. Tags of other things than commits lead to none."""
    form = "--format=%(if)%(*objecttype)%(then)%(*objecttype) %(*objectname)%(else)%(objecttype) %(objectname)%(end)"
    said = ask(tree, "for-each-ref", form, "--sort=-creatordate", "refs/heads", "refs/tags", "refs/remotes")
    named = (line.partition(" ") for line in said.splitlines())
    head = ask(tree, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return list(dict.fromkeys(filter(None, (*(name for kind, _, name in named if kind == "commit"), head))))


def _tip(tree: Path, tips: list[str], wanted: Mapping[str, str]) -> str:
    asked = "".join(f"{tip}:{name}\n" for tip in tips for name in wanted)
    said = iter(ask(tree, "cat-file", "--batch-check=%(objectname)", input=asked).splitlines())
    for tip in tips:
        there = {name: _blob(next(said, "")) for name in wanted}
        if _all_as_wanted(there, wanted):
            return tip
    return ""


def _blob(answer: str) -> str | None:
    return None if answer.endswith(" missing") or " " in answer or not answer else answer


def _between(tree: Path, tips: list[str], wanted: Mapping[str, str]) -> str:
    """The last commit before one that changed the files, or that one itself; what each had follows from its parent."""
    found = ""
    states: dict[str, dict[str, str]] = {}
    for commit in _log(tree, tips, wanted):
        before = states.get(commit.parent)
        if before is None:
            before = _listed(tree, f"{commit.name}~1", wanted) if commit.parent else {}
        after = {name: blob for name, blob in (before | commit.changes).items() if blob != NOTHING}
        states[commit.name] = after
        if commit.parent and _all_as_wanted(before, wanted):
            found = f"{commit.name}~1"
        if _all_as_wanted(after, wanted):
            found = commit.name
    return ask(tree, "rev-parse", "--verify", "--quiet", f"{found}^{{commit}}") if found else ""


def _log(tree: Path, tips: list[str], names: Mapping[str, str]) -> Iterator[_Commit]:
    """The commits that matter to these files, parents first. git gives each the parents that it has among them."""
    argv = ("log", f"-{DEPTH}", "--parents", "--topo-order", "--reverse", "--raw", "--no-abbrev", "--no-renames", "-z")
    rest = ("--format=%x01%H %P", "--stdin", "--", *names)
    input = "".join(f"{tip}\n" for tip in tips)
    # git before 2.31 does not tell what merges did: then what is found may be a commit that only nearly fits.
    said = ask(tree, *argv, "--diff-merges=first-parent", *rest, input=input) or ask(tree, *argv, *rest, input=input)
    for entry in said.split("\x01")[1:]:
        head, *fields = entry.split("\0")
        name, *parents = head.split()
        facts = [field.strip() for field in fields if field.strip()]
        changes = {path: fact.split()[3] for fact, path in zip(facts[::2], facts[1::2], strict=False)}
        yield _Commit(name, parents[0] if parents else "", changes)


def _listed(tree: Path, commit: str, names: Mapping[str, str]) -> dict[str, str]:
    entries = ask(tree, "ls-tree", "-r", "-z", commit, "--", *names).split("\0")
    return {name: facts.split()[2] for facts, _, name in (entry.partition("\t") for entry in entries if entry)}


def _all_as_wanted(there: Mapping[str, str | None], wanted: Mapping[str, str]) -> bool:
    return all(is_as_wanted(there.get(name), blob) for name, blob in wanted.items())
