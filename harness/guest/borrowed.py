"""Programs of the host that a guest has too, with the libraries they need, kept by content."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.cache import Cache, digest, digest_file
from harness.guest.programs import Programs
from harness.process import require, run

LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
"""A line of ldd's: a library where the dynamic linker finds it, or the linker itself."""


def borrow(names: Sequence[str], cache: Cache) -> Programs:
    """The programs by their path in the guest, and each library at its own.

    Raises InfraError when the host lacks one, with its Debian package.
    """
    sources: dict[str, Path] = {}
    for name in names:
        program = require(name)
        sources[f"bin/{name}"] = Path(program)
        sources |= {found.lstrip("/"): Path(found) for found in LIBRARY.findall(run(["ldd", program]).stdout)}
    if not sources:
        return {}
    key = digest("borrowed 1", *(f"{name} {digest_file(path)}" for name, path in sorted(sources.items())))

    def make(scratch: Path) -> None:
        for name, path in sources.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, scratch / name)

    folder = cache.make("borrowed", key, make)
    return {name: folder / name for name in sources}
