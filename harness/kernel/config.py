"""Kconfig fragments as values: read, merge, compare what was asked with what came out.

``olddefconfig`` drops in silence what it cannot give. A kernel without an option that a case needs is a wrong verdict,
so every option that was asked for and did not come out is an error, with the line that asked and what is in the way.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.cache import stamp
from harness.errors import DeclarationError, UserError

Values = Mapping[str, str]
"""Options by name (``CONFIG_X``); what is not set is not there."""

SETTING = re.compile(r"(CONFIG_[A-Za-z0-9_]+)=(y|m|n|-?\d+|0[xX][0-9a-fA-F]+|\"(?:[^\"\\]|\\.)*\")")
UNSET = re.compile(r"# (CONFIG_[A-Za-z0-9_]+) is not set")
NAME = re.compile(r"CONFIG_[A-Za-z0-9_]+")
KNOWN = 256
"""Fragments that are kept parsed."""
DEMAND = re.compile(r"#: (?:(slower|memory) = (\d+(?:\.\d+)?)|make = ([A-Z][A-Z0-9_]*_[\w-]+\.o=[yn]))")


@dataclass(frozen=True)
class Option:
    """One option that somebody asked for. ``where`` is file and line; ``series`` names the series that brings it."""

    name: str
    value: str
    where: str
    series: str = ""

    @property
    def line(self) -> str:
        return f"# {self.name} is not set" if self.value == "n" else f"{self.name}={self.value}"


@dataclass(frozen=True)
class Asked:
    """The options asked for, each once. ``overridden`` pairs a loser with the later option that won."""

    options: tuple[Option, ...]
    overridden: tuple[tuple[Option, Option], ...] = ()

    @property
    def text(self) -> str:
        """As Kconfig reads it, sorted: equal wishes have equal texts."""
        return "".join(f"{option.line}\n" for option in sorted(self.options, key=lambda each: each.name))


@dataclass(frozen=True)
class Missing:
    """An option that did not come out as asked. ``got`` is ``n`` when it is not set."""

    option: Option
    got: str


def read_fragment(path: Path, series: str = "") -> tuple[Option, ...]:
    """The options of a ``.config`` file. ``series`` names the series whose series.config it is.

    Raises DeclarationError for a line that Kconfig would pass over, and for an option said twice.
    """
    try:
        return _parse_fragment(path, series, stamp(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise DeclarationError(str(path), f"cannot be read: {exc}") from exc


@lru_cache(maxsize=KNOWN)
def _parse_fragment(path: Path, series: str, _stamp: tuple[int, ...]) -> tuple[Option, ...]:
    """A night asks for the same fragments hundreds of times; ``_stamp`` is another when the file is."""
    lines = path.read_text().splitlines()
    found: dict[str, Option] = {}
    for number, line in enumerate(lines, 1):
        option = _read_line(line.strip(), f"{path}:{number}", series)
        if option is None:
            continue
        earlier = found.get(option.name)
        if earlier and earlier.value != option.value:
            raise DeclarationError(option.where, f"{option.line}, but {earlier.where} says {earlier.line}")
        found[option.name] = option
    return tuple(found.values())


def _read_line(line: str, where: str, series: str) -> Option | None:
    if unset := UNSET.fullmatch(line):
        return Option(unset.group(1), "n", where, series)
    if not line or line.startswith("#"):
        return None
    setting = SETTING.fullmatch(line)
    if not setting:
        raise DeclarationError(
            where,
            f"{line!r} is not understood",
            hint='CONFIG_X=y, =m, =n, =<number>, ="text", or # CONFIG_X is not set',
        )
    return Option(setting.group(1), setting.group(2), where, series)


@dataclass(frozen=True)
class Demands:
    """What a kernel with a fragment needs more of than a plain one: how many times the time, how many MiB, both of its
    guest; and for single objects what kbuild is told of them (``KASAN_SANITIZE_string.o=n``)."""

    slower: float = 1.0
    memory: int = 0
    make: tuple[str, ...] = ()

    def __add__(self, other: Demands) -> Demands:
        return Demands(self.slower * other.slower, self.memory + other.memory, self.make + other.make)


def read_demands(path: Path) -> Demands:
    """What a fragment says in lines ``#: slower = 2``, ``#: memory = 256`` and ``#: make = KASAN_SANITIZE_string.o=n``.

    Raises DeclarationError for one that says something else behind ``#:``.
    """
    found = Demands()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.startswith("#:"):
            continue
        if not (said := DEMAND.fullmatch(line.strip())):
            raise DeclarationError(
                f"{path}:{number}",
                f"{line!r} is not understood",
                hint="#: slower = N, #: memory = N, #: make = X_y.o=n",
            )
        key, value, variable = said.groups()
        found += Demands(
            slower=float(value) if key == "slower" else 1.0,
            memory=int(float(value)) if key == "memory" else 0,
            make=(variable,) if variable else (),
        )
    return found


def read_option(text: str, where: str) -> Option:
    """One option as declarations and command lines have it: ``CONFIG_X`` (built in) or ``CONFIG_X=value``.

    Raises DeclarationError.
    """
    option = _read_line(f"{text}=y" if NAME.fullmatch(text) else text, where, "")
    if option is None:
        raise DeclarationError(where, f"{text!r} is no kernel option")
    return option


def merge(parts: Iterable[Iterable[Option]]) -> Asked:
    """One wish from several, the later wins; what lost is kept for the record."""
    chosen: dict[str, Option] = {}
    overridden: list[tuple[Option, Option]] = []
    for part in parts:
        for option in part:
            earlier = chosen.get(option.name)
            if earlier and earlier.value != option.value:
                overridden.append((earlier, option))
            chosen[option.name] = option
    return Asked(tuple(chosen.values()), tuple(overridden))


def read_result(text: str) -> dict[str, str]:
    """The options that a finished ``.config`` has on."""
    return {found.group(1): found.group(2) for line in text.splitlines() if (found := SETTING.fullmatch(line))}


def overlay(text: str, asked: Asked) -> str:
    """A ``.config`` with what was asked for in place of what it says, so that Kconfig sees each option once."""
    names = {option.name for option in asked.options}
    kept = [line for line in text.splitlines() if not (found := NAME.search(line)) or found.group() not in names]
    return "".join(f"{line}\n" for line in kept) + asked.text


def compare(asked: Asked, got: Values, forgiven: str = "") -> tuple[Missing, ...]:
    """What did not come out as asked. Options of the series ``forgiven`` may be missing: its patches are not all in."""
    missing: list[Missing] = []
    for option in asked.options:
        value = got.get(option.name, "n")
        if not _equal(option.value, value) and not (forgiven and option.series == forgiven):
            missing.append(Missing(option, value))
    return tuple(missing)


def _equal(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return int(one, 0) == int(other, 0)
    except ValueError:
        return False


def complain(missing: Iterable[Missing], got: Values, tree: Path) -> UserError:
    """The error for options that did not come out; why, as far as the tree's Kconfig files tell."""
    kconfig = _Kconfig(tree)
    said: list[str] = []
    for each in missing:
        came = "it is not set" if each.got == "n" else f"it is {each.got}"
        said.append(f"{each.option.where}: asked for {each.option.line}, {came}: {kconfig.why(each.option, got)}")
    count = "an option that was" if len(said) == 1 else f"{len(said)} options that were"
    return UserError(f"this kernel cannot have {count} asked for:\n" + "\n".join(said))


class _Kconfig:
    """The Kconfig files of a tree, read only when somebody asks why."""

    ENTRY = re.compile(r"^(?:menu)?config ([A-Za-z0-9_]+)$\n((?:[ \t].*\n|\n)*)", re.MULTILINE)
    DEPENDS = re.compile(r"^\s+depends on ((?:.*\\\n)*.*)", re.MULTILINE)
    SYMBOL = re.compile(r"(!?)\s*\b([A-Z0-9_]{2,}[A-Za-z0-9_]*)\b(?!\s*=\s*n)")

    def __init__(self, tree: Path) -> None:
        self._entries: dict[str, list[str]] = {}
        for path in sorted(tree.glob("**/Kconfig*")):
            parts = path.relative_to(tree).parts
            foreign = parts[0] == "arch" and len(parts) > 2 and parts[1] != "x86"
            if foreign or parts[0] in ("build", "Documentation") or path.is_symlink() or not path.is_file():
                continue
            for name, body in self.ENTRY.findall(path.read_text(errors="replace")):
                self._entries.setdefault(name, []).append(body)

    def why(self, option: Option, got: Values) -> str:
        name = option.name.removeprefix("CONFIG_")
        bodies = self._entries.get(name)
        if bodies is None:
            close = difflib.get_close_matches(name, self._entries, n=1, cutoff=0.75)
            return "this tree has no such option" + (f", did you mean CONFIG_{close[0]}?" if close else "")
        if option.value == "n":
            return "another option selects it"
        depends = [text for body in bodies for text in self.DEPENDS.findall(body)]
        unmet = self._unmet(depends, got)
        if unmet:
            return f"it depends on {_conjunction(depends)}, and {', '.join(unmet)}"
        if not any(re.search(r'^\s+(?:bool|tristate|string|int|hex)\s+"|^\s+prompt ', body, re.M) for body in bodies):
            return "it cannot be asked for, only another option selects it"
        return "a menu or an `if` around it is off, or another option of its choice is on"

    def _unmet(self, depends: Iterable[str], got: Values) -> list[str]:
        found: dict[str, None] = {}
        for text in depends:
            for negated, symbol in self.SYMBOL.findall(text.replace("\\\n", " ")):
                on = f"CONFIG_{symbol}" in got
                if on == bool(negated) and symbol in self._entries:
                    found[f"CONFIG_{symbol} is {'on' if on else 'off'}"] = None
        return list(found)


def _conjunction(expressions: Sequence[str]) -> str:
    plain = [" ".join(text.replace("\\\n", " ").split()) for text in expressions]
    return plain[0] if len(plain) == 1 else " && ".join(f"({each})" for each in plain)
