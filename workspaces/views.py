"""Signing in and out, one's own password and theme, switching workspaces, members and the audit log."""

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.context_processors import THEMES
from workspaces import services, throttle
from workspaces.access import admin_required, signed_in_required
from workspaces.exceptions import MemberError
from workspaces.forms import MemberForm, RoleForm, SignInForm
from workspaces.middleware import SESSION_KEY
from workspaces.models import AuditEvent, Membership

BACKEND = "django.contrib.auth.backends.ModelBackend"
AUDIT_PAGE = 50
YEAR = 365 * 24 * 3600


# Signing in and out ------------------------------------------------------------------------------


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """The sign-in page; afterwards on to ``next`` where it is one of our own pages."""
    target = _safe_next(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(target)
    if request.method != "POST":
        return render(request, "workspaces/login.html", {"form": SignInForm(request), "next": target})
    address = f"address:{request.META.get('REMOTE_ADDR', '')}"
    if throttle.too_many_failures(who=address):
        return login_locked(request)
    form = SignInForm(request, request.POST)
    if form.is_valid():
        auth.login(request, form.user)
        return HttpResponseRedirect(target)
    throttle.count_failure(who=address)
    return render(request, "workspaces/login.html", {"form": form, "next": target}, status=422)


def login_locked(request: HttpRequest, *_details: object) -> HttpResponse:
    """What a sign-in behind the lock answers; django-axes calls it too, with its own details."""
    response = render(request, "workspaces/login_locked.html", status=429)
    response["Retry-After"] = "3600"
    return response


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """End this session."""
    auth.logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Where a new person's one-time link leads: choose a password and be signed in."""
    user = services.find_user_of_link(uid=uid, token=token)
    if user is None:
        return render(request, "workspaces/link_expired.html", status=404)
    form = SetPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.set_password(user=user, password=form.cleaned_data["new_password1"])
        auth.login(request, user, backend=BACKEND)
        return redirect(settings.LOGIN_REDIRECT_URL)
    context = {"form": form, "person": user}
    return render(request, "workspaces/choose_password.html", context, status=422 if form.errors else 200)


# One's own account -------------------------------------------------------------------------------


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in_required
def password_change(request: HttpRequest) -> HttpResponse:
    """Change one's own password; every other session of the person ends."""
    person = f"person:{request.user.pk}"
    if request.method == "POST" and throttle.too_many_failures(who=person):
        return login_locked(request)
    form = PasswordChangeForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        password = form.cleaned_data["new_password1"]
        services.set_password(user=request.user, password=password, workspace=request.workspace)
        auth.update_session_auth_hash(request, request.user)
        messages.success(request, "Password changed. Every other session was signed out.")
        return redirect("workspaces:password_change")
    if form.has_error("old_password", "password_incorrect"):
        throttle.count_failure(who=person)
    status = 422 if form.errors else 200
    return render(request, "workspaces/password_change.html", {"form": form}, status=status)


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Remember light or dark in a cookie, or forget it for the system's; back to the page."""
    response = _back(request)
    if (theme := request.POST.get("theme")) in THEMES:
        secure = settings.SESSION_COOKIE_SECURE
        response.set_cookie("theme", theme, max_age=YEAR, secure=secure, httponly=True, samesite="Lax")
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


@require_POST
@signed_in_required
def switch_workspace(request: HttpRequest) -> HttpResponse:
    """Work in another of one's own workspaces from now on."""
    chosen = request.POST.get("workspace", "")
    if not any(str(membership.workspace_id) == chosen for membership in request.memberships):
        raise Http404("No such workspace.")
    request.session[SESSION_KEY] = int(chosen)
    return redirect(settings.LOGIN_REDIRECT_URL)


# Members and the audit log -----------------------------------------------------------------------


@require_safe
@admin_required
def member_list(request: HttpRequest) -> HttpResponse:
    """Who is in the workspace, and as what."""
    return _member_page(request)


@require_POST
@admin_required
def member_add(request: HttpRequest) -> HttpResponse:
    """Add a person; the link of someone new is on this answer and nowhere else."""
    form = MemberForm(request.POST)
    if not form.is_valid():
        return _member_page(request, form=form, status=422)
    try:
        membership, link = services.invite_member(
            workspace=request.workspace, actor=request.user, **form.cleaned_data
        )
    except MemberError as error:
        form.add_error("email", error.message)
        return _member_page(request, form=form, status=422)
    if link is not None:
        return _member_page(request, invited=membership, link=link)
    messages.success(request, f"{membership.user} is now a member.")
    return redirect("workspaces:member_list")


@require_POST
@admin_required
def member_link(request: HttpRequest, member_id: int) -> HttpResponse:
    """Another one-time link for a member who has not signed in yet."""
    membership = _member(request, member_id)
    try:
        link = services.renew_password_link(membership=membership, actor=request.user)
    except MemberError as error:
        return _member_page(request, error=error.message, status=409)
    return _member_page(request, invited=membership, link=link)


@require_POST
@admin_required
def member_role(request: HttpRequest, member_id: int) -> HttpResponse:
    """Change a member's role."""
    membership, form = _member(request, member_id), RoleForm(request.POST)
    if not form.is_valid():
        return _member_page(request, error="That is not a role.", status=422)
    try:
        changed = services.change_role(
            membership=membership, role=form.cleaned_data["role"], actor=request.user
        )
    except MemberError as error:
        return _member_page(request, error=error.message, status=409)
    messages.success(request, f"{changed.user} is {changed.get_role_display().lower()} now.")
    return redirect("workspaces:member_list")


@require_http_methods(["GET", "HEAD", "POST"])
@admin_required
def member_remove(request: HttpRequest, member_id: int) -> HttpResponse:
    """Ask, then end a membership."""
    membership = _member(request, member_id)
    if request.method != "POST":
        return render(request, "workspaces/member_remove.html", {"member": membership})
    try:
        services.remove_member(membership=membership, actor=request.user)
    except MemberError as error:
        return _member_page(request, error=error.message, status=409)
    messages.success(request, f"{membership.user} is no longer a member.")
    return redirect("workspaces:member_list")


@require_safe
@admin_required
def audit_log(request: HttpRequest) -> HttpResponse:
    """Who changed what, newest first."""
    events = AuditEvent.objects.in_workspace(request.workspace).older_than(request.GET.get("before", ""))
    page = list(events.select_related("actor")[: AUDIT_PAGE + 1])
    context = {"events": page[:AUDIT_PAGE], "more": len(page) > AUDIT_PAGE, "paged": "before" in request.GET}
    return render(request, "workspaces/audit_log.html", context)


def _member(request: HttpRequest, member_id: int) -> Membership:
    members = Membership.objects.filter(workspace=request.workspace).select_related("user", "workspace")
    return get_object_or_404(members, pk=member_id)


def _member_page(
    request: HttpRequest,
    *,
    form: MemberForm | None = None,
    invited: Membership | None = None,
    link: services.PasswordLink | None = None,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    url = reverse("workspaces:choose_password", args=[link.uid, link.token]) if link else ""
    context = {
        "members": Membership.objects.filter(workspace=request.workspace).with_people(),
        "form": form or MemberForm(),
        "invited": invited,
        "link": request.build_absolute_uri(url) if url else "",
        "error": error,
        "roles": Membership.Role.choices,
    }
    return render(request, "workspaces/member_list.html", context, status=status)


def _back(request: HttpRequest) -> HttpResponse:
    """To ``next`` or the page the request came from, where that is ours; else home."""
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return HttpResponseRedirect(_safe_next(request, request.headers.get("Referer", "")))


def _safe_next(request: HttpRequest, *others: str) -> str:
    """The first of ``next`` and ``others`` that is a page of ours, else home; never another site's."""
    hosts, secure = {request.get_host()}, request.is_secure()
    for target in (request.POST.get("next"), request.GET.get("next"), *others):
        if url_has_allowed_host_and_scheme(target, hosts, require_https=secure):
            return target
    return resolve_url(settings.LOGIN_REDIRECT_URL)
