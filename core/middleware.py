"""Stops request bodies that are larger than any form of ours, before anything reads or stores them."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase


class BodyLimitMiddleware:
    """Answers 413 when the declared body length passes MAX_BODY_BYTES.

    Django never reads past Content-Length (and reads nothing without one), so the declared length
    is also the most that can arrive.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse by the header alone: the body of a refused request is never touched."""
        declared = request.META.get("CONTENT_LENGTH") or "0"
        readable = declared.isascii() and declared.isdigit() and len(declared) < 19
        if not readable or int(declared) > settings.MAX_BODY_BYTES:
            megabytes = settings.MAX_BODY_BYTES // (1024 * 1024)
            return HttpResponse(
                f"That upload is larger than {megabytes} MB.",
                status=413,
                content_type="text/plain; charset=utf-8",
            )
        return self.get_response(request)
