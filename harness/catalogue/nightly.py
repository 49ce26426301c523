"""nightly.toml: what is run every night, as frozen values. Strict like every declaration."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.catalogue import variables
from harness.catalogue.load import nearest, read
from harness.catalogue.model import Catalogue, Declared
from harness.errors import DeclarationError

FILE = "nightly.toml"
PLAIN = "plain"
"""The config variant without further fragments."""
NO_FILESYSTEM = "none"
"""The filesystem of suites that want none."""
ACCELERATORS = ("auto", "tcg", "kvm")
AXES = ("bases", "states", "configs", "filesystems", "suites", "accelerators")


class Axes(Declared, frozen=True, kw_only=True):
    """Values of each axis, with shell wildcards. What is left out is every value that the suites declare.

    A config is ``plain``, a fragment, or fragments joined by ``+``; bases and states left out are each suite's own.
    """

    bases: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    filesystems: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    accelerators: tuple[str, ...] = ()


class Include(Axes, frozen=True, kw_only=True):
    """Further cells: axes that are left out have the values of [matrix]."""

    repeat: int = 0  # 0: as in the rest


class Exclude(Axes, frozen=True, kw_only=True):
    """Cells that are not run. An axis that is left out fits everything."""

    reason: str


class Mail(Declared, frozen=True, kw_only=True):
    """Where a summary is sent: through sendmail, or SMTP when ``smtp`` says host[:port]. ``when``: always, red."""

    to: tuple[str, ...]
    sender: str
    smtp: str = ""
    when: str = "always"


class Nightly(Declared, frozen=True, kw_only=True):
    """nightly.toml in the workspace."""

    title: str = "every night"
    matrix: Axes = Axes()
    include: tuple[Include, ...] = ()
    exclude: tuple[Exclude, ...] = ()
    repeat: int = 1  # how often each cell is run
    again: int = 2  # how often a case that failed is run again: in a fresh fork, then from power-on
    budget: int = 0  # minutes; 0: as long as it takes
    environment: tuple[str, ...] = ()  # NAME=VALUE that programs see, e.g. more mutants
    bisect: bool = True  # look for the first bad commit or patch of a regression
    mail: Mail | None = None


def load_nightly(path: Path, catalogue: Catalogue) -> Nightly:
    """The declaration at ``path``, checked against what the workspace declares; everything on plain when it is not
    there.

    Raises DeclarationError.
    """
    if not path.exists():
        return Nightly()
    declared = read(path, Nightly)
    known = known_values(catalogue)
    for place in (declared.matrix, *declared.include, *declared.exclude):
        for axis in AXES:
            _check(path, axis, getattr(place, axis), known[axis])
    _check_numbers(path, declared)
    return declared


def known_values(catalogue: Catalogue) -> Mapping[str, tuple[str, ...]]:
    """What each axis may name."""
    return {
        "bases": tuple(catalogue.bases),
        "states": ("base", "without", "with"),
        "configs": (PLAIN, *catalogue.fragments),
        "filesystems": (*catalogue.filesystems, NO_FILESYSTEM),
        "suites": tuple(catalogue.suites),
        "accelerators": ACCELERATORS,
    }


def _check(path: Path, axis: str, patterns: Iterable[str], known: tuple[str, ...]) -> None:
    for pattern in patterns:
        words = pattern.split("+") if axis == "configs" else [pattern]
        for word in words:
            number = axis == "states" and word.isdigit()
            if not number and not fnmatch.filter(known, word):
                near = nearest(word, known)
                hint = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known))}"
                raise DeclarationError(str(path), f"{axis}: nothing is called {word!r}", hint=hint)


def _check_numbers(path: Path, declared: Nightly) -> None:
    least = {"repeat": 1, "again": 0, "budget": 0}
    for name, value in least.items():
        if getattr(declared, name) < value:
            raise DeclarationError(str(path), f"{name}: must be at least {value}")
    for place in declared.exclude:
        if not place.reason.strip():
            raise DeclarationError(str(path), "exclude: what is left out has a reason")
    if wrong := variables.fault(declared.environment):
        raise DeclarationError(str(path), f"environment: {wrong}")
    if declared.mail and declared.mail.when not in ("always", "red"):
        raise DeclarationError(str(path), f"mail.when: {declared.mail.when!r} is neither 'always' nor 'red'")


def joined(fragments: Iterable[str]) -> str:
    """The name of a config variant."""
    return "+".join(fragments) or PLAIN


def fragments_of(variant: str) -> tuple[str, ...]:
    """The fragments of a config variant by its name."""
    return () if variant == PLAIN else tuple(variant.split("+"))
