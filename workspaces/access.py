"""Who may open a view: signed in, in a workspace, with a role that is enough."""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from workspaces.models import Membership

View = Callable[..., HttpResponseBase]
Role = Membership.Role

# Every role that reaches a view, weakest first; a view names the weakest it lets in.
AT_LEAST = {
    Role.VIEWER: frozenset({Role.VIEWER, Role.REP, Role.ADMIN}),
    Role.REP: frozenset({Role.REP, Role.ADMIN}),
    Role.ADMIN: frozenset({Role.ADMIN}),
}


def role_required(role: Membership.Role) -> Callable[[View], View]:
    """Let in members of the current workspace whose role is ``role`` or stronger.

    Nobody signed in: to the login page and back. Signed in without any workspace, or with too weak a
    role: 403. The wrapped view carries ``required_role`` for the access test.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return to_login(request)
            membership = request.membership
            if membership is None or membership.role not in AT_LEAST[role]:
                raise PermissionDenied("Your role does not allow this. Ask an admin of the workspace.")
            return view(request, *args, **kwargs)

        guarded.required_role = role
        return guarded

    return decorate


viewer_required = role_required(Role.VIEWER)
rep_required = role_required(Role.REP)
admin_required = role_required(Role.ADMIN)


def signed_in_required(view: View) -> View:
    """Let in everyone who is signed in, also without a workspace: for what concerns only the person."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return to_login(request)
        return view(request, *args, **kwargs)

    return guarded


def to_login(request: HttpRequest) -> HttpResponseBase:
    """To the login page, and afterwards back to the page the person sees now.

    A fragment's request (a poll whose session ended) must not put a login form inside the page: htmx is
    told to leave for it, and comes back to the page rather than to the fragment.
    """
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    try:
        page = request.htmx.current_url_abs_path
    except ValueError:  # the header is no URL
        page = None
    response = HttpResponse(status=204)
    response["HX-Redirect"] = reverse("workspaces:login") + (f"?{urlencode({'next': page})}" if page else "")
    return response
