"""The look of every page the lab writes: one style sheet, one frame, light and dark, no network.

    text = render("report.html.j2", folder="harness.review", title="...", runs=...)

A template extends ``page.html.j2`` and fills ``main``; it may add to ``style`` and ``script``. Text is escaped. Pages
are self-contained, or take ``page.css`` from beside them (``linked="../"``) where a site has thousands of them. An
outcome's words are ``harness.results.text.word``'s.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

OWN = "harness.results.page"

SIGNS = {"PASS": "✓", "FAIL": "✗", "ERROR": "!", "MISS": "?", "DONE": "·", "SKIP": "-"}
"""A sign a status, so that nobody has to tell colours apart."""


def style() -> str:
    """The style sheet."""
    return resources.files(OWN).joinpath("page.css").read_text()


def render(template: str, *, folder: str = OWN, linked: str = "", **words: Any) -> str:
    """A page. ``folder`` is the package whose ``templates/`` has the template; ``linked`` is where page.css is."""
    return _environment(folder).get_template(template).render(style=style(), linked=linked, **words)


@cache
def _environment(folder: str) -> jinja2.Environment:
    import jinja2

    loaders = [jinja2.PackageLoader(folder, "templates")]
    if folder != OWN:
        loaders.append(jinja2.PackageLoader(OWN, "templates"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["sign"] = lambda status: SIGNS.get(str(status), "·")
    environment.filters["seconds"] = seconds
    return environment


def seconds(value: float) -> str:
    """0.9 s, 31 s, 4:11, 1:02:03."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
