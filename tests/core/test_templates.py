"""The interface's own files: budgets, contrast, icons, and what each template says of itself."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Context
from django.template.loader import get_template

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
CSS = (ROOT / "static/ui/app.css").read_text()
SPRITE = (ROOT / "static/ui/icons.svg").read_text()


def name_of(path):
    return str(path.relative_to(ROOT))


def gzipped(*paths):
    return len(gzip.compress(b"".join(path.read_bytes() for path in paths), 9))


def test_the_style_sheet_stays_within_its_budget():
    assert gzipped(ROOT / "static/ui/app.css") <= 16 * 1024


def test_the_scripts_stay_within_their_budget():
    assert gzipped(*sorted((ROOT / "static/ui/js").glob("*.js"))) <= 10 * 1024


def test_scripts_build_no_html_or_code_from_data():
    for path in (ROOT / "static/ui/js").glob("*.js"):
        source = path.read_text()
        assert not re.search(
            r"\beval\(|new Function|insertAdjacentHTML|outerHTML\s*=|document\.write", source
        )
        written = re.findall(r"innerHTML\s*=\s*([^;]+);", source)
        assert set(written) <= {"button.dataset.busySince"}, path.name


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_compiles_and_uses_only_icons_that_exist(path):
    get_template(str(path.relative_to(ROOT / "templates")))
    for name in re.findall(r'{% icon "([\w-]+)"', path.read_text()):
        assert f'<symbol id="{name}"' in SPRITE, f"no icon {name}"


@pytest.mark.parametrize(
    "path", [path for path in TEMPLATES if path.name.startswith("_") or path.parent.name == "ui"], ids=name_of
)
def test_a_fragment_or_component_opens_with_a_comment_that_names_its_context(path):
    first = path.read_text().lstrip().removeprefix("{% load django_htmx %}").split("\n", 1)[0]
    assert first.startswith(("{#", "{% comment %}"))
    assert "Context" in path.read_text()


def test_the_base_page_names_its_blocks():
    source = (ROOT / "templates/base.html").read_text()
    head = source.split("{% endcomment %}")[0]
    assert {"title", "styles", "main", "panel", "alone", "scripts"} <= set(
        re.findall(r"^  (\w+) ", head, re.M)
    )


def test_static_files_of_the_base_page_exist():
    for name in re.findall(r"{% static '([^']+)' %}", (ROOT / "templates/base.html").read_text()):
        assert finders.find(name), name


@pytest.mark.parametrize("code", ["403", "404", "500"])
def test_an_error_page_renders_even_with_nothing_in_its_context(code):
    page = get_template(f"{code}.html").template.render(Context())
    assert 'href="/"' in page
    assert page.count("<h1>") == 1


# Contrast ----------------------------------------------------------------------------------------

TOKENS = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\);", CSS))
SURFACES = ["surface", "canvas", "subtle", "pop", "hover", "selected"]


def color(token, theme):
    return TOKENS[token].split(", ")[theme]


def luminance(hex_color):
    channels = (int(hex_color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_says():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    "text", ["text", "text-2", "text-3", "accent-text", "ok-text", "warn-text", "bad-text"]
)
def test_text_can_be_read_on_every_surface(text, theme):
    for surface in SURFACES:
        assert contrast(color(text, theme), color(surface, theme)) >= 4.5, surface


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "tint"),
    [("ok-text", "ok-tint"), ("warn-text", "warn-tint"), ("bad-text", "bad-tint"), ("accent-text", "accent-tint"),
     ("text-2", "active"), ("text-3", "active"), ("inverse-fg", "inverse"), ("inverse-muted", "inverse")],
)  # fmt: skip
def test_text_can_be_read_on_its_tint(text, tint, theme):
    assert contrast(color(text, theme), color(tint, theme)) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("graphic", ["icon", "control", "ok", "warn", "bad", "none", "c1", "c2", "c3", "c4"])
def test_graphics_stand_out_from_the_surface(graphic, theme):
    assert contrast(color(graphic, theme), color("surface", theme)) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_a_primary_button_can_be_read(theme):
    for fill in ("accent", "accent-hover"):
        assert contrast("#FFFFFF", color(fill, theme)) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_initials_can_be_read_in_every_hue(theme):
    hues = re.findall(
        r"\.hue-\d \{ background: light-dark\((#\w{6}), (#\w{6})\); color: light-dark\((#\w{6}), (#\w{6})\)",
        CSS,
    )
    assert len(hues) == 7
    for hue in hues:
        assert contrast(hue[theme], hue[2 + theme]) >= 4.5
