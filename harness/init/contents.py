"""What a new workspace holds, as text by path. Nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from harness.errors import UserError

CI = {
    "github": {".github/workflows/lab.yml": "github.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab.yml"},
    "systemd": {"ci/lab-nightly.service": "lab-nightly.service", "ci/lab-nightly.timer": "lab-nightly.timer"},
}
"""The files of each kind of CI, and their templates."""
EXAMPLE = "protected-names"
"""The series that a workspace starts with when nobody names patches: a sysctl, two patches, seven cases."""


@dataclass(frozen=True)
class Series:
    """The series of a new workspace. ``patches`` are files by name, in order; ``tree`` is a git tree, or empty."""

    name: str
    base: str
    patches: Mapping[str, bytes]
    tree: str = ""
    ref: str = "HEAD"

    @property
    def suite(self) -> str:
        """Its suite has the series' name: folders of kernel-patches/ and testcases/ do not meet."""
        return self.name

    @property
    def program(self) -> str:
        """The suite's only program, without .c."""
        return f"{self.name.replace('-', '_')}_test"


def workspace(series: Series) -> dict[str, bytes]:
    """The files of a workspace for patches of one's own, with a suite to begin with."""
    words = {
        "series": series.name,
        "suite": series.suite,
        "base": series.base,
        "title": series.name.replace("-", " "),
        "tree": series.tree,
        "ref": series.ref,
        "scenario": f"ext4-{series.suite}",
    }
    patches, suite = f"kernel-patches/{series.name}", f"testcases/{series.suite}"
    files = {f"{patches}/{name}": data for name, data in series.patches.items()}
    files[f"{patches}/series"] = "".join(f"{name}\n" for name in series.patches).encode()
    files[f"{patches}/series.toml"] = render("series.toml", words)
    files[f"{suite}/suite.toml"] = render("suite.toml", words)
    files[f"{suite}/{series.program}.c"] = render("test.c", words)
    if series.tree:
        files[f"kernel-patches/bases/{series.base}.toml"] = render("base.toml", words)
    return files | _common(words)


def example() -> dict[str, bytes]:
    """The files of a workspace with a small series that is red without and green with: to look at, and to replace."""
    words = {"series": EXAMPLE, "suite": "names", "scenario": "ext4-names"}
    place = _folder("example")
    patches = sorted(entry.name for entry in place.iterdir() if entry.name.endswith(".patch"))
    files = {f"kernel-patches/{EXAMPLE}/{name}": (place / name).read_bytes() for name in (*patches, "series.toml")}
    files |= {f"testcases/names/{name}": (place / name).read_bytes() for name in ("suite.toml", "names_test.c")}
    files[f"kernel-patches/{EXAMPLE}/series"] = "".join(f"{name}\n" for name in patches).encode()
    return files | _common(words)


def _common(words: Mapping[str, str]) -> dict[str, bytes]:
    return {"README.md": render("README.md", words), ".gitignore": render("gitignore", words)}


def ci(kind: str, folder: Path, *, lab: str, command: str, series: str) -> dict[str, bytes]:
    """The files that make a CI run a workspace's cases.

    ``lab`` is where the CI clones the lab from, ``command`` the lab's command on this machine (systemd). Raises
    UserError for a kind that is not known, and for a CI elsewhere when nobody knows where the lab is cloned from.
    """
    if kind not in CI:
        raise UserError(f"there is no CI {kind!r}", hint=f"known: {', '.join(CI)}")
    if kind != "systemd" and not lab:
        raise UserError(
            "a CI on another machine must know where to clone the lab from",
            hint="name it: --lab URL (this lab is no clone with an origin)",
        )
    words = {"lab": lab, "command": command, "folder": str(folder), "series": series}
    return {path: render(f"ci/{name}", words) for path, name in CI[kind].items()}


def _folder(name: str) -> Traversable:
    return resources.files("harness.init").joinpath(name)


def render(name: str, words: Mapping[str, str]) -> bytes:
    """A template with its words. Its marks are [[ ]]: CI files have braces of their own."""
    import jinja2

    text = _folder("templates").joinpath(name).read_text()
    environment = jinja2.Environment(
        variable_start_string="[[", variable_end_string="]]", keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined, autoescape=False,  # no HTML
    )  # fmt: skip
    return environment.from_string(text).render(words).encode()
