"""What every page needs to know about the viewer's browser."""

from django.http import HttpRequest

THEMES = ("light", "dark")


def appearance(request: HttpRequest) -> dict[str, str]:
    """The chosen theme ("light", "dark", or "" for the system's), kept in a cookie."""
    theme = request.COOKIES.get("theme", "")
    return {"theme": theme if theme in THEMES else ""}
