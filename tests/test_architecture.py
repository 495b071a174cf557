"""The shape of the code: who imports whom, and the limits on modules, functions and templates."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Top to bottom; each may import those in lines below its own, never beside it or above.
LAYERS = [
    ("config",),
    ("api",),
    ("enrichment",),
    ("destinations",),
    ("audiences",),
    ("leads", "billing"),
    ("workspaces",),
    ("core",),
]
LEVELS = {app: level for level, layer in enumerate(LAYERS) for app in layer}
# What an app shows to those above it: these modules and what is inside them.
PUBLIC = {"models", "services", "exceptions"}
ALSO_PUBLIC = {"workspaces.access"}

LONGEST_FUNCTION = 60
LONGEST_FILE = 500

MODULES = sorted(
    path
    for app in LEVELS
    for path in (ROOT / app).rglob("*.py")
    if "migrations" not in path.parts and path.read_text().strip()
)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def name_of(path):
    return str(path.relative_to(ROOT))


def parsed(path):
    return ast.parse(path.read_text(), filename=str(path))


def imports_of(path):
    """Every module of ours that ``path`` imports, as a dotted name, wherever the import stands."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
                base = ".".join([*package, *(node.module or "").split(".")]).rstrip(".")
            else:
                base = node.module or ""
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def wrong_arrow(importer, imported):
    """Why ``importer`` (an app) may not import ``imported`` (a dotted name); empty when it may."""
    app, _, rest = imported.partition(".")
    if app not in LEVELS or app == importer:
        return ""
    if LEVELS[app] <= LEVELS[importer]:
        return f"{importer} may not import {app}"
    if app == "core" or rest.split(".")[0] in PUBLIC:
        return ""
    if any(imported == name or imported.startswith(f"{name}.") for name in ALSO_PUBLIC):
        return ""
    return f"{imported} is not for other apps"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    importer = path.relative_to(ROOT).parts[0]
    wrong = [
        f"line {line}: {reason}"
        for line, imported in imports_of(path)
        if (reason := wrong_arrow(importer, imported))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("enrichment", "leads.models.Lead", True),
        ("enrichment", "billing.services.open_hold", True),
        ("enrichment", "billing.services.holds.open_hold", True),
        ("leads", "workspaces.access.rep_required", True),
        ("leads", "core.htmx.render_either", True),
        ("leads", "django.db.models", True),
        ("leads", "billing.models.Hold", False),
        ("billing", "leads.models.Lead", False),
        ("leads", "audiences.services", False),
        ("core", "workspaces.models.User", False),
        ("enrichment", "leads.views.lead_list", False),
        ("audiences", "workspaces.middleware.SESSION_KEY", False),
    ],
)
def test_the_rule_itself_tells_right_arrows_from_wrong_ones(importer, imported, allowed):
    assert (not wrong_arrow(importer, imported)) is allowed


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_opens_with_a_sentence_that_says_what_it_is_for(path):
    docstring = ast.get_docstring(parsed(path)) or ""
    first = docstring.split("\n\n")[0].strip()
    assert first.endswith("."), f"{name_of(path)} opens with {first!r}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_stay_readable(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines"
    too_long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert not too_long


FORBIDDEN_IN_TEMPLATES = {
    "a style attribute or element": r"\sstyle\s*=|<style\b",
    "an inline script": r"<script\b(?![^>]*\bsrc\s*=)",
    "an event handler attribute": r"\son[a-z]{3,}\s*=|\shx-on\b|\sdata-hx-on\b",
    "script in an htmx attribute": r"hx-vals\s*=\s*[\"']js:|hx-trigger\s*=\s*[\"'][^\"']*\[",
    "unescaped output": r"\|\s*safe\b|\bautoescape\s+off\b|\|\s*safeseq\b",
    "a link that runs script": r"javascript:",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_has_no_inline_script_or_style_and_escapes_everything(path):
    text = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", path.read_text(), flags=re.S)
    found = {
        what: match[0]
        for what, pattern in FORBIDDEN_IN_TEMPLATES.items()
        if (match := re.search(pattern, text, re.I))
    }
    assert not found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_marks_text_as_safe_html_unescaped(path):
    called = {
        getattr(node.func, "id", getattr(node.func, "attr", ""))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
    }
    assert "mark_safe" not in called


def fragments_of_views():
    """The templates with an underscore that some module renders by itself: what htmx swaps."""
    named = {name for path in MODULES for name in re.findall(r'"(\w+/_\w+\.html)"', path.read_text())}
    return sorted(ROOT / "templates" / name for name in named)


@pytest.mark.parametrize("path", fragments_of_views(), ids=name_of)
def test_a_fragment_has_the_root_id_its_name_says(path):
    """``_lead_table.html`` has ``id="lead-table"``, and ``_lead_row.html`` the lead's number in it."""
    wanted = path.stem.lstrip("_").removesuffix("_row").replace("_", "-")
    assert re.search(rf'\bid="{wanted}["-]', path.read_text()), f"no id={wanted}"
