"""The names under which static files are served outside development."""

import json
import re

import pytest
from django.core.management import call_command

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "core.assets.HashedAssets"},
}


@pytest.fixture
def collected(settings, tmp_path):
    """Where ``collectstatic`` put everything, and the manifest of names."""
    settings.STORAGES, settings.STATIC_ROOT = STORAGES, tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path, json.loads((tmp_path / "staticfiles.json").read_text())["paths"]


def test_modules_fonts_and_icons_are_named_by_their_content(collected):
    place, names = collected
    hashed = re.compile(r"\.[0-9a-f]{12}\.\w+$")
    for name in names:
        if not name.startswith("ui/js/"):
            continue
        source = (place / names[name]).read_text()
        for module in re.findall(r"""(?:from|import)\s*["'](\./[^"']+)["']""", source):
            assert hashed.search(module), f"{name} imports {module}"
            assert (place / "ui/js" / module).is_file()
    for url in re.findall(r'url\("([^"]+)"\)', (place / names["ui/app.css"]).read_text()):
        assert hashed.search(url)
        assert (place / "ui" / url).is_file()


def test_compressed_copies_lie_beside_the_files(collected):
    place, names = collected
    for name in ("ui/app.css", "ui/js/app.js", "ui/icons.svg"):
        assert (place / f"{names[name]}.gz").is_file()
