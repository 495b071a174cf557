"""What every page shows of the viewer's workspace."""

from django.http import HttpRequest


def workspace(request: HttpRequest) -> dict[str, object]:
    """``workspace``, ``membership`` and all ``memberships`` of the viewer; empty for anonymous pages."""
    return {
        "workspace": getattr(request, "workspace", None),
        "membership": getattr(request, "membership", None),
        "memberships": getattr(request, "memberships", []),
    }
