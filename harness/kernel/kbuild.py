"""Which folders a configuration builds, as far as their Makefiles say it. Pure.

A single target (``make kernel/checkpoint/sys.o``) is made even where the configuration never comes to its folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

OBJECTS = re.compile(r"^obj-(y|m|\$\((CONFIG_\w+)\))[ \t]*[+:]?=(.*)$", re.MULTILINE)


def reached(file: str, options: Collection[str], makefile: Callable[[str], str]) -> bool:
    """Whether ``file`` lies in a folder that is built with ``options`` on. ``makefile(folder)`` is the text of one.

    A folder that its parent's Makefile does not speak of in a plain way counts as built.
    """
    parts = file.split("/")[:-1]
    return all(_enters("/".join(parts[:at]), parts[at], options, makefile) for at in range(1, len(parts)))


def _enters(parent: str, child: str, options: Collection[str], makefile: Callable[[str], str]) -> bool:
    text = makefile(parent).replace("\\\n", " ")
    ways = [found for found in OBJECTS.finditer(text) if f"{child}/" in found.group(3).split()]
    return not ways or any(found.group(2) is None or found.group(2) in options for found in ways)
