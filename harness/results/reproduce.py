"""reproduce.sh: a run again, as the lab ran it or with the bare QEMU command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from harness.results.model import Manifest


def script(manifest: Manifest) -> str:
    """The text of reproduce.sh for a run."""
    return "\n".join((*_head(manifest), *_lab(manifest), "}", "", *_qemu(manifest), *_tail())) + "\n"


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _head(manifest: Manifest) -> Iterator[str]:
    yield "#!/bin/sh"
    yield f"# {_comment(manifest.scenario)}, run {_comment(manifest.created)}"
    for kernel in manifest.kernels:
        yield _comment(f"#   {kernel.state:<8} {kernel.label}  (artefact {kernel.key})")
    yield "#"
    yield "# sh reproduce.sh              the same command in LAB_WORKSPACE, or in the workspace around this file"
    yield "# sh reproduce.sh qemu STATE   the bare QEMU command of a state; files are named as they were at that time"
    yield "set -eu"
    yield ""
    yield 'here=$(cd "$(dirname "$0")" && pwd)'
    yield 'workspace=${LAB_WORKSPACE:-$(cd "$here/../../.." && pwd)}'
    yield ""


def _lab(manifest: Manifest) -> Iterator[str]:
    git = manifest.workspace
    yield "run_lab() {"
    if git is None:
        yield "\techo 'the workspace was not a git tree: compare it by hand' >&2"
    else:
        yield f"\twanted={shlex.quote(git.commit)}"
        yield '\tactual=$(git -C "$workspace" rev-parse HEAD)'
        yield '\tif [ "$actual" != "$wanted" ]; then'
        yield '\t\techo "the workspace is at $actual, the run was at $wanted:" >&2'
        yield '\t\techo "    git worktree add /path/to/tree $wanted, then LAB_WORKSPACE=/path/to/tree sh $0" >&2'
        yield "\t\texit 2"
        yield "\tfi"
        if git.changed:
            told = f"{len(git.changed)} files differed from that commit: workspace.diff has the tracked ones"
            yield f"\techo '{told}' >&2"
    yield '\tcd "$workspace"'
    yield f"\tif [ -x ./lab ]; then exec ./lab {shlex.join(manifest.argv[1:])}; fi"
    yield f"\texec {shlex.join(manifest.argv)}"


def _qemu(manifest: Manifest) -> Iterator[str]:
    yield "run_qemu() {"
    yield '\tcase "$1" in'
    for state, argv in manifest.qemu.items():
        yield f"\t{shlex.quote(state)}) exec {shlex.join(argv)} ;;"
    known = " ".join(manifest.qemu) or "none was recorded"
    yield f"\t*) echo {shlex.quote(f'qemu STATE, where STATE is one of: {known}')} >&2; exit 2 ;;"
    yield "\tesac"
    yield "}"


def _tail() -> Iterator[str]:
    yield ""
    yield 'case "${1:-lab}" in'
    yield "lab) run_lab ;;"
    yield 'qemu) run_qemu "${2:-}" ;;'
    yield '*) echo "usage: $0 [lab | qemu STATE]" >&2; exit 2 ;;'
    yield "esac"
