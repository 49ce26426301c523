"""What a posted series is for: the base that it names, or the one whose files are those that its patches want.

A patch says which version of a file it changes (``index 87d7c6e..9c7caec``). A base that has these very blobs is what
the patch was made on, whatever the cover letter says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue.load import requirements
from harness.catalogue.model import Base
from harness.errors import LabError, SeriesError, UserError
from harness.kernel import git, series, source
from harness.kernel.request import applied
from harness.kernel.series import Patch
from harness.plan import newest, newest_first
from harness.progress import Progress, Step, silent
from harness.review import blobs, lineage
from harness.review.candidate import Candidate, Chosen
from harness.review.posting import Posting
from harness.runner.prepare import Place

COMMIT = re.compile(r"^base-commit: ([0-9a-f]{7,40})\s*$", re.MULTILINE)
BASED_ON = re.compile(r"^[Bb]ased[- ][Oo]n:? +(\S.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Said:
    """What the mails say of the base: a commit, names; empty when they do not."""

    commit: str = ""
    based_on: tuple[str, ...] = ()


def said(posting: Posting) -> Said:
    """What cover letter and patches say, the cover letter first."""
    texts = [mail.text for mail in (posting.cover, *posting.patches) if mail]
    commits = [found.group(1) for text in texts for found in COMMIT.finditer(text)]
    names = dict.fromkeys(found.group(1) for text in texts for found in BASED_ON.finditer(text))
    return Said(commits[0] if commits else "", tuple(names))


class Finder:
    """Looks for the base of some patches among all that the lab knows, and in further git trees."""

    def __init__(
        self,
        place: Place,
        patches: Sequence[Patch],
        trees: Sequence[Path] = (),
        own: str = "",
        progress: Progress = silent,
    ) -> None:
        """Raises UserError for a tree that is none."""
        for tree in trees:
            if not blobs.ask(tree, "rev-parse", "--git-dir"):
                raise UserError(f"--tree {tree}: that is no git tree")
        self.place = place
        self.patches = patches
        self.trees = trees
        self.own = own
        self.progress = progress
        self.wanted = blobs.wanted(patches)

    def choose(self, posting: Said, base: str | None, requires: Sequence[str]) -> Chosen:
        """The base, with all that speaks for it. Raises UserError when none is known or a name is not."""
        if base and base not in self.place.catalogue.bases and (there := self._commit(base)):
            return Chosen(there, "asked for")
        if base or requires:
            return Chosen(self.named(base or newest(self.place.catalogue.bases), requires), "asked for")
        notes: list[str] = []
        if posting.commit:
            there = self._commit(posting.commit)
            if there:
                return Chosen(there, f"base-commit: {posting.commit[:12]}")
            if (own := self._with_commit(posting.commit)) and (best := self._best(own)):
                files = f"{best.found} of {best.wanted} files as the patches want them"
                return Chosen(best, f"base-commit: {posting.commit[:12]}, {files}")
            notes.append(f"the mail says base-commit: {posting.commit}, which no tree here has (--tree PATH names one)")
        for text in posting.based_on:
            if named := self._based_on(text):
                return Chosen(named, f"Based-on: {text}", tuple(notes))
        best = self._best()
        if best is None:
            raise UserError("no base is known here to apply the series to", hint="--base NAME, or --tree PATH")
        why = f"{best.found} of {best.wanted} files are as the patches want them"
        return Chosen(best, why if best.wanted else "the patches name no blobs", tuple(notes))

    def named(self, base: str, requires: Sequence[str]) -> Candidate:
        """The candidate somebody asked for. Raises UserError for a name that is not declared."""
        catalogue = self.place.catalogue
        if base not in catalogue.bases:
            raise UserError(f"there is no base {base!r}", hint=f"known: {', '.join(sorted(catalogue.bases))}")
        order: dict[str, None] = {}
        for name in requires:
            if name not in catalogue.series:
                raise UserError(f"there is no series {name!r}", hint=f"known: {', '.join(sorted(catalogue.series))}")
            order |= dict.fromkeys((*requirements(catalogue, name), name))
        source.fetch(base, catalogue.bases[base], self.place.cache, self.progress, root=catalogue.root)
        declared = catalogue.bases[base]
        return self._tried(self._look(Candidate(base, tuple(order)), declared), declared)

    def again(self, candidate: Candidate) -> Candidate:
        """The same base, looked at for the patches of this finder."""
        declared = candidate.declared or self.place.catalogue.bases[candidate.base]
        return self._tried(self._look(candidate, declared), declared)

    def _best(self, only: Sequence[str] = ()) -> Candidate | None:
        """The nearest of all; the first that has every file as it is wanted and takes all patches ends the search."""
        tried: list[Candidate] = []
        for candidate, declared in (seen := self._seen(only)):
            self._looking(len(tried), len(seen), f"trying {candidate.label}")
            tried.append(self._tried(candidate, declared))
            if tried[-1].fits and tried[-1].found == tried[-1].wanted:
                break
        return max(tried, key=lambda each: each.nearness, default=None)

    def all(self) -> list[Candidate]:
        """Every base that the lab has here, alone and below each series of the workspace; a commit of each git tree."""
        return [self._tried(candidate, declared) for candidate, declared in self._seen()]

    def _seen(self, only: Sequence[str] = ()) -> list[tuple[Candidate, Base]]:
        """The same with nothing applied: those with most files as wanted first, then the newest, with least on it.

        ``only`` are the bases to look at, if not all that are there and the git trees.
        """
        bases = self.place.catalogue.bases
        here = [name for name in newest_first(bases) if bases[name].git or self._source(name)]
        stacks = [(name, stack) for name in only or here for stack in dict.fromkeys([(), *self._stacks(name)])]
        trees = () if only else self.trees
        total = len(stacks) + len(trees)
        found: list[tuple[Candidate, Base]] = []
        for name, stack in stacks:
            self._looking(len(found), total, Candidate(name, stack).label)
            found.append((self._look(Candidate(name, stack), bases[name]), bases[name]))
        for at, tree in enumerate(trees, len(stacks)):
            self._looking(at, total, f"the history of {tree}")
            commit = lineage.newest_with(tree, self.wanted)
            if commit:
                found.append(self._from_tree(tree, commit))
        return sorted(found, key=lambda each: (each[0].found, each[0].there), reverse=True)

    def _looking(self, done: int, total: int, note: str) -> None:
        self.progress(Step("base", done, total, note))

    def _source(self, name: str) -> source.Source | None:
        catalogue = self.place.catalogue
        return source.known(name, catalogue.bases[name], self.place.cache, root=catalogue.root)

    def _with_commit(self, commit: str) -> list[str]:
        """The bases of the workspace that are this very commit."""
        bases = self.place.catalogue.bases
        return [name for name in newest_first(bases) if self._is(name, bases[name], commit)]

    def _is(self, name: str, base: Base, commit: str) -> bool:
        """A source without a history has a commit that the lab made, the same on every machine."""
        try:
            if base.git:
                return source.commit_of(base, self.place.catalogue.root).startswith(commit)
            there = self._source(name)
        except LabError:
            return False
        return there is not None and there.record.commit.startswith(commit)

    def _stacks(self, base: str) -> Iterator[tuple[str, ...]]:
        catalogue = self.place.catalogue
        for name in catalogue.series:
            stack = (*requirements(catalogue, name), name)
            if (
                name != self.own
                and name not in catalogue.posted
                and all(base in catalogue.series[each].bases for each in stack)
            ):
                yield stack

    def _commit(self, commit: str) -> Candidate | None:
        for tree in self.trees:
            if blobs.ask(tree, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"):
                return self._tried(*self._from_tree(tree, commit))
        return None

    def _from_tree(self, tree: Path, commit: str) -> tuple[Candidate, Base]:
        catalogue = self.place.catalogue
        config = catalogue.bases[newest(catalogue.bases)].config
        declared = Base(title=f"{commit[:12]} of {tree}", git=os.fspath(tree.resolve()), ref=commit, config=config)
        return self._look(Candidate(f"{tree.resolve().name}@{commit[:12]}", declared=declared), declared), declared

    def _based_on(self, text: str) -> Candidate | None:
        """A base or a series of the workspace that a ``Based-on:`` names: ``6.12``, ``v6.12``, ``checkpoint-core``."""
        catalogue = self.place.catalogue
        words = re.findall(r"[\w.+-]+", text)
        base = next((name for word in words for name in catalogue.bases if word.removeprefix("v") == name), None)
        requires = [name for name in catalogue.series if name in words]
        if base is None and not requires:
            return None
        return self.named(base or catalogue.series[requires[0]].bases[0], requires)

    def _look(self, candidate: Candidate, declared: Base) -> Candidate:
        """How many of the files are as the patches want them."""
        try:
            repo, commit = self._ground(candidate, declared)
        except LabError as exc:
            return replace(candidate, wanted=len(self.wanted), problem=exc.message)
        there = blobs.of_commit(repo, commit, self.wanted)
        found = sum(blobs.is_as_wanted(there.get(name), blob) for name, blob in self.wanted.items())
        kept = sum((name in there) == bool(blob.strip("0")) for name, blob in self.wanted.items())
        return replace(candidate, found=found, there=kept, wanted=len(self.wanted), problem="")

    def _tried(self, candidate: Candidate, declared: Base) -> Candidate:
        """How many of the patches apply."""
        if candidate.problem:
            return candidate
        done, problem = series.applicable(*self._ground(candidate, declared), self.patches)
        # Where the lab has put what was posted is nobody's business.
        kept = self.place.cache.root / "posted"
        return replace(candidate, applies=done, problem=re.sub(rf" in {re.escape(os.fspath(kept))}/\w+", "", problem))

    def _ground(self, candidate: Candidate, declared: Base) -> tuple[git.Repo, str]:
        """What the patches are to be applied on. Raises LabError when that cannot be made."""
        catalogue, cache = self.place.catalogue, self.place.cache
        base = source.fetch(candidate.base, declared, cache, root=catalogue.root)
        repo = git.Repo(base.repo)
        below = [patch for name in candidate.requires for patch in applied(catalogue, candidate.base, name).patches]
        return repo, (base.record.commit, *series.apply(repo, base.record.commit, below))[-1]

    def does_not_apply(self, chosen: Chosen) -> SeriesError:
        """The error for a base that does not fit: which patch, which hunk, what stands there; and where it would."""
        candidate = chosen.candidate
        others = [each for each in self.all() if each.label != candidate.label]
        fitting = sorted((each for each in others if each.fits), key=lambda each: -each.found)
        best = max(others, key=lambda each: each.nearness, default=None)
        if fitting:
            hint = f"it applies to {fitting[0].label}: {fitting[0].options}"
        elif best and best.applies > candidate.applies:
            hint = f"nearest is {best.label}, where {best.applies} of {len(self.patches)} patches apply"
        else:
            hint = "no base known here takes it"
            if best and best.found > candidate.found:
                hint += f"; {best.label} has most of the files as the patches want them: {best.found} of {best.wanted}"
            elif best and best.there > candidate.there:
                hint += f"; nearest is {best.label}, which has {best.there} of the {best.wanted} files at all"
        notes = "".join(f"\n{note}" for note in chosen.notes)
        return SeriesError(f"on {candidate.label} ({chosen.why}):\n{candidate.problem}{notes}", hint=hint)
