"""A base that a posted series may be for, and how well it fits."""

from __future__ import annotations

from dataclasses import dataclass

from harness.catalogue.model import Base


@dataclass(frozen=True)
class Candidate:
    """A base, with the series of the workspace on it. ``declared`` is a base that the catalogue does not have.

    ``found`` of ``wanted`` files are as the patches want them, ``there`` are there or not as they want; the first
    ``applies`` patches apply, then ``problem``.
    """

    base: str
    requires: tuple[str, ...] = ()
    declared: Base | None = None
    found: int = 0
    there: int = 0
    wanted: int = 0
    applies: int = 0
    problem: str = ""

    @property
    def label(self) -> str:
        return " + ".join((self.base, *self.requires))

    @property
    def options(self) -> str:
        """What asks for it on a command line."""
        if self.declared:
            return f"--tree {self.declared.git} --base {self.declared.ref}"
        return f"--base {self.base}" + "".join(f" --requires {name}" for name in self.requires)

    @property
    def nearness(self) -> tuple[int, int, int]:
        """To compare candidates by."""
        return self.applies, self.found, self.there

    @property
    def fits(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class Chosen:
    """The base of a review, why it was this one, and what the reader should know of it."""

    candidate: Candidate
    why: str
    notes: tuple[str, ...] = ()
