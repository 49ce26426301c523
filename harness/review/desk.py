"""A posted series laid out for work: its files in the cache, its base found, a catalogue in which it is a series.

desk = lay_out(place, posting, base=None, requires=(), trees=())
desk.place.catalogue.series[desk.name]         # so that plan, walk and run treat it as any other
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness import process
from harness.cache import digest
from harness.catalogue.load import requirements
from harness.catalogue.model import Base, Catalogue, Excuse, Posted, Rules, Series
from harness.errors import InfraError, SeriesError
from harness.kernel.config import read_option
from harness.kernel.request import SERIES_CONFIG
from harness.kernel.series import Patch, cover_letter, read_series
from harness.progress import Progress, Step, silent
from harness.review import intake
from harness.review.base import Finder, said
from harness.review.candidate import Chosen
from harness.review.posting import Mail, Posting, parse
from harness.runner.prepare import Place

EXCUSED = (Excuse(kind="UNKNOWN_COMMIT_ID", reason="a base of the lab has no history to look a commit up in"),)


@dataclass(frozen=True)
class Desk:
    """What is under review. ``numbers`` are those that the patches have in the mails.

    ``refused`` are the patches that do not apply, with the reason: then the series is what is left of it.
    """

    place: Place
    name: str
    posting: Posting
    patches: tuple[Patch, ...]
    numbers: tuple[int, ...]
    chosen: Chosen
    refused: tuple[tuple[Mail, str], ...] = ()

    @property
    def base(self) -> str:
        return self.chosen.candidate.base


def lay_out(
    place: Place,
    posting: Posting,
    *,
    base: str | None = None,
    requires: Sequence[str] = (),
    trees: Sequence[Path] = (),
    options: Sequence[str] = (),
    anyway: bool = False,
    trust: bool = False,
    progress: Progress = silent,
) -> Desk:
    """Find the base and make the series one of the catalogue's. ``options`` are kernel options that it brings.

    ``anyway`` leaves out what does not apply. Without a sandbox nothing is built unless ``trust`` says so.
    Raises SeriesError (paths that leave the tree; it does not apply), UserError, InfraError.
    """
    if not trust and not process.sandbox_works():
        raise InfraError(
            "a series from a mail is built in a sandbox, and bubblewrap cannot make one here",
            hint="--trust builds it without one: its Makefiles then run as you do",
        )
    name = _name(place.catalogue, posting)
    patches = _stored(place, posting, options)
    finder = Finder(place, patches, trees, name, progress)
    chosen = finder.choose(said(posting), base, requires)
    chosen = replace(chosen, notes=(*posting.notes, *chosen.notes))
    if chosen.candidate.fits:
        return _desk(place, posting, name, patches, chosen, options)
    if not anyway:
        raise finder.does_not_apply(chosen)
    kept, refused = _what_applies(place, posting, chosen, options, progress)
    if not kept:
        raise finder.does_not_apply(chosen)
    rest = replace(posting, patches=tuple(kept))
    return replace(_desk(place, rest, name, _stored(place, rest, options), chosen, options), refused=tuple(refused))


def own(place: Place, name: str, base: str | None = None, progress: Progress = silent) -> Desk:
    """A series of the workspace, under review as it stands there: it is trusted as any other.

    Raises UserError, DeclarationError, SeriesError.
    """
    catalogue = place.catalogue
    chosen_base = base or catalogue.series[name].bases[0]
    patches = read_series(catalogue.folder_of(name), chosen_base)
    mails = [parse(patch.data) for patch in patches]
    cover = cover_letter(catalogue.folder_of(name), chosen_base)
    posting = Posting(tuple(mails), parse(cover.read_bytes()) if cover else None, (), (mails[0].version,))
    finder = Finder(place, patches, own=name, progress=progress)
    candidate = finder.named(chosen_base, requirements(catalogue, name))
    chosen = Chosen(candidate, f"kernel-patches/{name}/series.toml")
    if not candidate.fits:
        raise finder.does_not_apply(chosen)
    return Desk(place, name, posting, patches, tuple(range(1, len(patches) + 1)), chosen)


def _name(catalogue: Catalogue, posting: Posting) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", posting.title.lower()).strip("-")[:40].strip("-") or "mail"
    name = f"{slug}-v{posting.version}" if posting.version > 1 else slug
    return f"{name}-posted" if name in catalogue.series else name


def _stored(place: Place, posting: Posting, options: Sequence[str]) -> tuple[Patch, ...]:
    folder = _folder(place, posting, options)
    try:
        return read_series(folder)
    except SeriesError as exc:
        raise SeriesError(exc.message.replace(f"{folder}/", ""), hint=exc.hint) from exc


def _folder(place: Place, posting: Posting, options: Sequence[str]) -> Path:
    """The series' folder in the cache, by its content. Raises DeclarationError for an option that is none."""
    wanted = [read_option(text, "--option") for text in options]

    def store(entry: Path) -> None:
        intake.store(posting, entry)
        if wanted:
            (entry / SERIES_CONFIG).write_text("".join(f"{option.line}\n" for option in wanted))

    return place.cache.make("posted", _key(posting, options), store)


def _key(posting: Posting, options: Sequence[str]) -> str:
    cover = posting.cover.data if posting.cover else b""
    return digest("posted 1", cover, *(patch.data for patch in posting.patches), "|", *options)


def _desk(
    place: Place, posting: Posting, name: str, patches: tuple[Patch, ...], chosen: Chosen, options: Sequence[str]
) -> Desk:
    catalogue = place.catalogue
    candidate = chosen.candidate
    bases: dict[str, Base] = dict(catalogue.bases)
    if candidate.declared:
        bases[candidate.base] = candidate.declared
    declared = Series(
        title=posting.title or name, bases=(candidate.base,), requires=candidate.requires, check=Rules(excuses=EXCUSED)
    )
    # A quarantine for this series alone: the next review of its author's shares nothing with it either.
    posted = Posted(_folder(place, posting, options), _key(posting, options))
    larger = msgspec.structs.replace(
        catalogue,
        bases=bases,
        series={**catalogue.series, name: declared},
        posted={**catalogue.posted, name: posted},
    )
    numbers = tuple(patch.number if patch.of > 1 else at for at, patch in enumerate(posting.patches, 1))
    return Desk(replace(place, catalogue=larger), name, posting, patches, numbers, chosen)


def _what_applies(
    place: Place, posting: Posting, chosen: Chosen, options: Sequence[str], progress: Progress
) -> tuple[list[Mail], list[tuple[Mail, str]]]:
    """The patches that apply one after the other, and those that do not."""
    kept: list[Mail] = []
    refused: list[tuple[Mail, str]] = []
    for at, patch in enumerate(posting.patches):
        progress(Step("base", at, len(posting.patches), f"trying {patch.title}"))
        trial = replace(posting, patches=(*kept, patch))
        finder = Finder(place, _stored(place, trial, options))
        candidate = chosen.candidate
        looked = finder.again(candidate)
        if looked.fits:
            kept.append(patch)
        else:
            refused.append((patch, looked.problem))
    return kept, refused
