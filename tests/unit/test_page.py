"""The frame of every page: self-contained, escaped, readable without colours."""

import re

from harness.catalogue.model import Status
from harness.results import page


def test_a_page_needs_no_network():
    text = page.render("page.html.j2", title="a run")
    assert "<style>" in text
    assert not re.search(r"(src|href)=\"(https?:)?//|@import|url\(", text)


def test_a_site_links_its_style_sheet():
    text = page.render("page.html.j2", title="a run", linked="../")
    assert '<link rel="stylesheet" href="../page.css">' in text
    assert "<style>" not in text


def test_what_a_kernel_prints_is_text():
    assert "&lt;script&gt;" in page.render("page.html.j2", title="<script>")


def test_every_status_has_a_sign_of_its_own():
    assert set(page.SIGNS) == {str(status) for status in Status}
    assert len(set(page.SIGNS.values())) == len(page.SIGNS)


def test_colours_of_text_can_be_read():
    """WCAG AA: 4.5 to 1, in light and in dark."""
    for block in re.findall(r":root \{(.*?)\}", page.style(), re.DOTALL):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        pairs = [("ink", "paper"), ("soft", "paper"), ("soft", "sheet"), ("link", "paper")]
        pairs += [(name, f"{name}-back") for name in ("pass", "fail", "warn", "skip")]
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back)


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
