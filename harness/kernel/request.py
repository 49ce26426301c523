"""What a kernel is made from, as a value; and how it is made from names of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from harness.cache import digest
from harness.catalogue.model import Base, Catalogue
from harness.errors import UserError
from harness.kernel import config
from harness.kernel.series import Patch, read_series

T = TypeVar("T")

SERIES_CONFIG = "series.config"
PROFILING = "gcov"
"""The fragment that makes profiling of single files possible."""


@dataclass(frozen=True)
class Applied:
    """A series, or its first patches. ``config`` is its series.config, if it has one."""

    series: str
    patches: tuple[Patch, ...]
    of: int
    config: Path | None = None

    @property
    def whole(self) -> bool:
        return len(self.patches) == self.of

    @property
    def label(self) -> str:
        return self.series if self.whole else f"{self.series}[1-{len(self.patches)}]"


@dataclass(frozen=True)
class KernelRequest:
    """A kernel to build.

    ``fragments`` are Kconfig fragments in order, ``options`` single ones on top (``CONFIG_X`` or ``CONFIG_X=value``).
    ``root`` is where relative paths of the base's declaration start. ``quarantine`` keeps the build apart: trees and
    compiler cache are shared only between requests of the same quarantine (for patches one does not trust).
    ``profiled`` are source files whose lines are counted when they run; that takes the fragment ``gcov``.
    """

    name: str
    base: Base
    applied: tuple[Applied, ...] = ()
    fragments: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()
    root: Path = Path()
    quarantine: str = ""
    profiled: tuple[str, ...] = ()

    @property
    def patches(self) -> tuple[Patch, ...]:
        """All patches in the order they are applied."""
        return tuple(patch for applied in self.applied for patch in applied.patches)

    @property
    def unfinished(self) -> str:
        """The series that is only partly applied: its options may not exist yet. Empty when none is that brings any."""
        return next((applied.series for applied in self.applied if applied.config and not applied.whole), "")

    @property
    def family(self) -> str:
        """Requests with the same fragments build in the same tree: between them a build is incremental."""
        return " ".join([self.quarantine, *(path.stem for path in self.fragments)])

    @property
    def plain(self) -> KernelRequest:
        """The same without quarantine and profiling: built where everything is, a tree that is good to begin from."""
        return replace(
            self, quarantine="", profiled=(), fragments=tuple(path for path in self.fragments if path.stem != PROFILING)
        )

    def label(self, version: str) -> str:
        """For people: ``6.12.117 + checkpoint-core``."""
        return " + ".join([version, *(applied.label for applied in self.applied)])

    @property
    def identity(self) -> str:
        """The same for requests that make the same kernel of one base.

        Raises DeclarationError for a fragment that is not understood.
        """
        return digest(
            self.name, self.base.ref, *(each.key for each in self.patches), "|", self.asked().text, self.unfinished,
            *self.variables,
        )  # fmt: skip

    @property
    def variables(self) -> tuple[str, ...]:
        """What make is told of single objects. Raises DeclarationError for a fragment that is not understood."""
        return tuple(word for path in self.fragments for word in config.read_demands(path).make)

    def asked(self) -> config.Asked:
        """All options asked for. Raises DeclarationError for a fragment that is not understood."""
        fragments = [config.read_fragment(path) for path in self.fragments]
        series = [config.read_fragment(each.config, each.series) for each in self.applied if each.config]
        single = [config.read_option(text, "option") for text in self.options]
        return config.merge([*fragments, *series, single])


def compose(
    catalogue: Catalogue,
    base: str,
    stack: Sequence[tuple[str, int | None]] = (),
    *,
    fragments: Sequence[str] = (),
    options: Sequence[str] = (),
    quarantine: str = "",
) -> KernelRequest:
    """The request for a base with series on it: ``stack`` has each series and how many of its patches (None: all).

    The base's own fragments come first, then ``fragments`` (kasan, lockdep ...). Raises UserError for a name that is
    not declared and a number of patches a series does not have; DeclarationError, SeriesError for a broken series.
    """
    declared = _named(catalogue.bases, base, "base")
    names = [*declared.config, *(name for name in fragments if name not in declared.config)]
    return KernelRequest(
        name=base,
        base=declared,
        applied=tuple(applied(catalogue, base, name, count) for name, count in stack),
        fragments=tuple(_named(catalogue.fragments, name, "fragment") for name in names),
        options=tuple(dict.fromkeys(options)),
        root=catalogue.root,
        quarantine=quarantine or quarantine_of(catalogue, (name for name, _ in stack)),
    )


def quarantine_of(catalogue: Catalogue, series: Iterable[str]) -> str:
    """The quarantine that a stack is built in: that of what came by mail. A state without it is built with all others,
    so that no kernel without the series under review was made where its Makefiles had been."""
    return next((catalogue.posted[name].quarantine for name in series if name in catalogue.posted), "")


def _named(known: Mapping[str, T], name: str, what: str) -> T:
    if name not in known:
        raise UserError(f"there is no {what} {name!r}", hint=f"known: {', '.join(sorted(known))}")
    return known[name]


def applied(catalogue: Catalogue, base: str, name: str, count: int | None = None) -> Applied:
    """A declared series as it is on a base, or its first ``count`` patches.

    Raises UserError for a name that is not declared or a number it does not have; DeclarationError, SeriesError.
    """
    _named(catalogue.series, name, "series")
    folder = catalogue.folder_of(name)
    patches = read_series(folder, base)
    if count is not None and not 0 <= count <= len(patches):
        raise UserError(f"{name} has no patch {count}: it has {len(patches)}")
    own = folder / SERIES_CONFIG
    return Applied(name, patches[:count], len(patches), own if own.is_file() else None)
