"""A workspace with a toy kernel tree: minutes become a second, with the same make and gcc."""

import difflib
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.cache import Cache
from harness.catalogue.model import Base, Catalogue, Series
from harness.kernel.build import build
from harness.kernel.request import compose

TOY = Path(__file__).parent / "toy"

MAIL = """\
From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: A Person <person@example.org>
Date: Thu, 1 Jan 2026 10:00:00 +0100
Subject: [PATCH {number}/9] {title}

Why.
---
{diff}{signature}2.39.5
"""


@dataclass
class Workspace:
    """A workspace in a folder of its own, with a base ``toy`` and the series ``core``."""

    root: Path
    cache: Cache
    seen: list = field(default_factory=list)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def patch(self, number, title, edits, series="core"):
        """Add a patch: ``edits`` has (old, new) texts by file; old None makes the file."""
        diff = "".join(self._diff(name, *change) for name, change in edits.items())
        return self.raw_patch(number, title, diff, series)

    def raw_patch(self, number, title, diff, series="core"):
        name = f"{number:04}-{title.replace(' ', '-')}.patch"
        self.write(f"kernel-patches/{series}/series.toml", 'title = "t"\nbases = ["toy"]\n')
        return self.write(
            f"kernel-patches/{series}/{name}", MAIL.format(number=number, title=title, diff=diff, signature="-- \n")
        )

    def _diff(self, name, old, new):
        if old is None:
            lines = new.splitlines(keepends=True)
            added = "".join(f"+{line}" for line in lines)
            head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n"
            return f"{head}--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n{added}"
        before = (TOY / name).read_text()
        assert old in before
        pair = (text.splitlines(keepends=True) for text in (before, before.replace(old, new)))
        body = "".join(difflib.unified_diff(*pair, f"a/{name}", f"b/{name}"))
        return f"diff --git a/{name} b/{name}\n{body}"

    def catalogue(self):
        patches = self.root / "kernel-patches"
        series = {path.parent.name: Series(title="t", bases=("toy",)) for path in patches.glob("*/series.toml")}
        return Catalogue(
            root=self.root,
            bases={"toy": Base(title="toy", tarball="toy.tar", config=("guest",))},
            fragments={path.stem: path for path in (patches / "config").glob("*.config")},
            series=series, images={}, filesystems={}, suites={},
        )  # fmt: skip

    def request(self, stack=(), **more):
        return compose(self.catalogue(), "toy", stack, **more)

    def build(self, *names, at=None, **more):
        """Build the base with series on it; the last has its first ``at`` patches."""
        stack = [(name, None) for name in names]
        if at is not None:
            stack[-1] = (names[-1], at)
        return build(self.request(stack, **more), self.cache, self.seen.append, jobs=2)

    def notes(self, stage):
        return [step.note for step in self.seen if step.stage == stage]


def compiled(kernel):
    """The objects that were compiled for this kernel."""
    lines = (line.split() for line in kernel.log.read_text().splitlines())
    return sorted(words[1] for words in lines if words[:1] == ["CC"])


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("CCACHE_DIR", os.fspath(tmp_path / "ccache"))
    workspace = Workspace(tmp_path / "workspace", Cache(tmp_path / "cache"))
    workspace.write("kernel-patches/config/guest.config", "# names are what the toy is about\nCONFIG_TOY_NAMES=y\n")
    with tarfile.open(workspace.root / "toy.tar", "w") as tar:
        tar.add(TOY, "linux-6.99.1")
    workspace.cache.root.mkdir()
    return workspace
