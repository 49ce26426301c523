"""The subject line of a patch, as Documentation/process/submitting-patches.rst wants it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.kernel.findings import Finding
from harness.kernel.series import Patch

LONGEST = 75
AREA = re.compile(r"^[\w./,\- {}&+]+: \S")
NUMBER = re.compile(rb"^Subject: \[[^\]]*?\b(\d+)/(\d+)\]", re.MULTILINE)


def complaints(patch: Patch) -> tuple[Finding, ...]:
    """What is wrong with a patch's subject: no area, too long, a full stop, the number of another patch."""
    return tuple(Finding(patch.path.name, 0, "error", "SUBJECT", text) for text in _complaints(patch))


def _complaints(patch: Patch) -> Iterator[str]:
    title = patch.letter.subject
    if not title:
        yield "it has no subject"
        return
    if not AREA.match(title):
        yield f'the subject does not begin with an area, as in "ext4: ...": {title!r}'
    if len(title) > LONGEST:
        yield f"the subject has {len(title)} characters, {LONGEST} at most: {title!r}"
    if title.endswith("."):
        yield f"the subject ends with a full stop: {title!r}"
    number = NUMBER.search(patch.data)
    if number and (int(number.group(1)), int(number.group(2))) != (patch.number, patch.of):
        said = f"{int(number.group(1))}/{int(number.group(2))}"
        yield f"the subject says {said}; it is patch {patch.number} of {patch.of}"
