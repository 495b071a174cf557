"""One view serves a page and its fragment: which of the two is wanted, and what else htmx is told."""

import json
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import resolve, reverse
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString

STOP_POLLING = 286


def wants_fragment(request: HttpRequest) -> bool:
    """True for an htmx request that swaps a part of a page, and for a view included in another page."""
    if getattr(request, "included", False):
        return True
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


def render_either(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render ``fragment`` where only that is wanted, else ``page``, which includes it."""
    response = render(request, fragment if wants_fragment(request) else page, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def add_trigger(response: HttpResponse, event: str, detail: Any = True) -> HttpResponse:
    """Have htmx fire ``event`` in the browser, beside the events already asked for."""
    triggers = json.loads(response.headers.get("HX-Trigger", "{}"))
    response["HX-Trigger"] = json.dumps({**triggers, event: detail})
    return response


def add_toast(response: HttpResponse, text: str, *, kind: str = "ok", href: str = "") -> HttpResponse:
    """Show a toast: ``kind`` is "ok", "warn" or "bad"; ``href`` adds a View link."""
    return add_trigger(response, "toast", {"kind": kind, "text": text, "href": href})


def include_view(request: HttpRequest, url_name: str, *args: object) -> SafeString:
    """Call the view behind ``url_name`` for this viewer and return its fragment's HTML.

    The way a page reaches an app above its own. The view applies its own access rules and sees a GET,
    also on the page that answers a POST; a refusal or any answer but 200 and 286 leaves the place empty.
    """
    match = resolve(reverse(url_name, args=args))
    before = getattr(request, "included", False), request.method
    request.included, request.method = True, "GET"
    try:
        response = match.func(request, *match.args, **match.kwargs)
    except (Http404, PermissionDenied):
        return SafeString("")
    finally:
        request.included, request.method = before
    if response.status_code not in (200, STOP_POLLING):
        return SafeString("")
    return SafeString(response.content.decode(response.charset))
