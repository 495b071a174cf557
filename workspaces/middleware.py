"""Gives every request its workspace, and keeps what views answer out of every cache."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from core.clock import zone_of
from workspaces.models import Membership

SESSION_KEY = "workspace_id"


class WorkspaceMiddleware:
    """Sets ``request.memberships``, ``request.membership`` and ``request.workspace`` before a view runs.

    The workspace is the one chosen in this session, else the viewer's first. Read afresh for each request,
    so a changed or removed role acts at once. Static files and health checks never reach a view of ours
    that needs it, and cost no query: nothing is read for anonymous people.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Start with nothing; ``process_view`` fills in."""
        request.memberships, request.membership, request.workspace = [], None, None
        timezone.deactivate()
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> None:
        """One query: the viewer's memberships with their workspaces."""
        if not request.user.is_authenticated:
            return
        chosen = request.session.get(SESSION_KEY)
        rows = Membership.objects.filter(user_id=request.user.pk).select_related("workspace")
        request.memberships = sorted(rows, key=lambda row: (row.workspace_id != chosen, row.workspace_id))
        if request.memberships:
            request.membership = request.memberships[0]
            request.workspace = request.membership.workspace
            # Every time on a page is the workspace's own.
            timezone.activate(zone_of(request.workspace.timezone))


class NoStoreMiddleware:
    """Pages hold people's contact data: no browser or proxy keeps a copy, unless the view said how.

    Static files are answered further out and stay cacheable.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Add the header to every answer that has none."""
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response
