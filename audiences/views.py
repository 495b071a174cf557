"""Audiences and their members, and the audiences of one lead."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audiences import services
from audiences.exceptions import AudienceError
from audiences.models import Audience, Membership
from core.channels import Channel
from core.htmx import add_toast, add_trigger, render_either, wants_fragment
from leads.models import Lead
from workspaces.access import admin_required, rep_required, viewer_required

MEMBERS_PAGE = 50
RESULTS = 50

NO_CHANGE = "This is what is required now."


def told_when_refused(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Say why the services refused (the audience was deleted meanwhile), and go to the list."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except AudienceError as error:
            if wants_fragment(request):
                return add_toast(HttpResponse(status=204), error.message, kind="bad")
            messages.error(request, error.message)
            return redirect("audiences:audience_list")

    return guarded


# Audiences ---------------------------------------------------------------------------------------


@require_safe
@viewer_required
def audience_list(request: HttpRequest) -> HttpResponse:
    """Every audience, what it requires and how full it is."""
    audiences = list(Audience.objects.in_workspace(request.workspace).with_counts())
    return render(request, "audiences/audience_list.html", {"audiences": audiences})


@require_http_methods(["GET", "HEAD", "POST"])
@admin_required
def audience_create(request: HttpRequest) -> HttpResponse:
    """Name a new audience and choose what its leads need."""
    name, chosen = "", request.workspace.default_channel_list
    error = ""
    if request.method == "POST":
        name, chosen = request.POST.get("name", ""), request.POST.getlist("channels")
        try:
            audience = services.create_audience(
                workspace=request.workspace, name=name, channels=chosen, actor=request.user
            )
        except AudienceError as refused:
            error = refused.message
        else:
            messages.success(request, f"{audience.name} is ready. Add leads to it.")
            return redirect("audiences:audience_leads", audience.pk)
    context = {"name": name, "choices": _choices(chosen), "error": error}
    return render(request, "audiences/audience_create.html", context, status=422 if error else 200)


@require_safe
@viewer_required
def audience_detail(request: HttpRequest, audience_id: int) -> HttpResponse:
    """One audience: its scope and its members, best ICP score first."""
    return _detail(request, _audience(request, audience_id))


@require_POST
@admin_required
def audience_rename(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Give the audience another name."""
    audience = _audience(request, audience_id)
    try:
        services.rename_audience(audience=audience, name=request.POST.get("name", ""), actor=request.user)
    except AudienceError as error:
        return _detail(request, _audience(request, audience_id), error=error.message, status=422)
    return redirect("audiences:audience_detail", audience.pk)


@require_POST
@admin_required
def audience_channels(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Replace what the audience requires; every member's circle follows."""
    audience, chosen = _audience(request, audience_id), request.POST.getlist("channels")
    try:
        changed = services.set_required_channels(audience=audience, channels=chosen, actor=request.user)
    except AudienceError as error:
        return _detail(request, audience, chosen=chosen, error=error.message, status=422)
    messages.success(request, f"Saved. The requirements of {_leads(changed)} changed.")
    return redirect("audiences:audience_detail", audience.pk)


@require_safe
@admin_required
def channels_preview(request: HttpRequest, audience_id: int) -> HttpResponse:
    """What the channels of the form would do to the members' circles, before they are saved."""
    audience, chosen = _audience(request, audience_id), request.GET.getlist("channels")
    if set(chosen) == set(audience.required_list):
        return _preview(request, NO_CHANGE)
    try:
        change = services.preview_scope_change(audience=audience, channels=chosen)
    except AudienceError as error:
        return _preview(request, error.message)
    return _preview(request, change.sentence)


@require_http_methods(["GET", "HEAD", "POST"])
@admin_required
@told_when_refused
def audience_delete(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Ask, then delete the audience; its leads stay."""
    audience = _audience(request, audience_id)
    if request.method != "POST":
        return render(request, "audiences/audience_delete.html", {"audience": audience})
    services.delete_audience(audience=audience, actor=request.user)
    messages.success(request, f"{audience.name} is deleted. Its leads are still here.")
    return redirect("audiences:audience_list")


# What leads in no audience require ---------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@admin_required
def default_channels(request: HttpRequest) -> HttpResponse:
    """Replace what leads in no audience need."""
    chosen: Iterable[str] = request.workspace.default_channel_list
    error = ""
    if request.method == "POST":
        chosen = request.POST.getlist("channels")
        try:
            services.set_default_channels(workspace=request.workspace, channels=chosen, actor=request.user)
        except AudienceError as refused:
            error = refused.message
        else:
            messages.success(request, "Saved. Leads in no audience follow it.")
            return redirect("audiences:audience_list")
    context = {"choices": _choices(chosen), "error": error, "sentence": NO_CHANGE}
    return render(request, "audiences/default_channels.html", context, status=422 if error else 200)


@require_safe
@admin_required
def default_preview(request: HttpRequest) -> HttpResponse:
    """What the channels of the form would do to the leads in no audience, before they are saved."""
    chosen = request.GET.getlist("channels")
    if set(chosen) == set(request.workspace.default_channel_list):
        return _preview(request, NO_CHANGE)
    try:
        change = services.preview_default_change(workspace=request.workspace, channels=chosen)
    except AudienceError as error:
        return _preview(request, error.message)
    return _preview(request, change.sentence)


# Members -----------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@rep_required
@told_when_refused
def audience_leads(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Find leads that are not members yet, and add the chosen ones (``lead``, also several)."""
    audience = _audience(request, audience_id)
    if request.method == "POST":
        added = services.add_leads(
            audience=audience, lead_ids=_numbers(request.POST.getlist("lead")), actor=request.user
        )
        messages.success(request, _added_words(added))
        return redirect("audiences:audience_detail", audience.pk)
    return _find_page(request, audience)


@require_POST
@rep_required
@told_when_refused
def audience_paste(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Add the leads of pasted e-mail addresses and LinkedIn URLs."""
    audience, text = _audience(request, audience_id), request.POST.get("values", "")
    if not text.strip():
        return _find_page(request, audience, error="Paste at least one e-mail address or LinkedIn URL.")
    added, unmatched = services.add_pasted(audience=audience, text=text, actor=request.user)
    if unmatched and not added.added and not added.already:
        return _find_page(request, audience, error="None of this belongs to a lead here.", pasted=text)
    messages.success(request, _added_words(added, unmatched))
    return redirect("audiences:audience_detail", audience.pk)


@require_POST
@rep_required
@told_when_refused
def audience_remove_leads(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Take leads (``lead``, also several) out of the audience."""
    audience = _audience(request, audience_id)
    lead_ids = _numbers(request.POST.getlist("lead"))
    removed = services.remove_leads(audience=audience, lead_ids=lead_ids, actor=request.user)
    messages.success(request, f"{_leads(removed)} removed from {audience.name}.")
    return redirect("audiences:audience_detail", audience.pk)


# One lead's audiences ----------------------------------------------------------------------------


@require_safe
@viewer_required
def lead_audiences(request: HttpRequest, lead_id: int) -> HttpResponse:
    """The lead's audiences and which of their channels it has: a section of the lead's panel."""
    return _lead_section(request, _lead(request, lead_id))


@require_POST
@rep_required
@told_when_refused
def lead_join(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Put the lead into an audience (``audience``)."""
    lead = _lead(request, lead_id)
    chosen = (_numbers([request.POST.get("audience", "")]) or [0])[0]
    audience = _audience(request, chosen)
    services.add_leads(audience=audience, lead_ids=[lead.pk], actor=request.user)
    return _lead_changed(request, lead, f"Added to {audience.name}.")


@require_POST
@rep_required
@told_when_refused
def lead_leave(request: HttpRequest, lead_id: int, audience_id: int) -> HttpResponse:
    """Take the lead out of an audience."""
    lead, audience = _lead(request, lead_id), _audience(request, audience_id)
    services.remove_leads(audience=audience, lead_ids=[lead.pk], actor=request.user)
    return _lead_changed(request, lead, f"Removed from {audience.name}.")


# -------------------------------------------------------------------------------------------------


def _audience(request: HttpRequest, audience_id: int) -> Audience:
    audiences = Audience.objects.in_workspace(request.workspace).select_related("workspace")
    return get_object_or_404(audiences, pk=audience_id)


def _lead(request: HttpRequest, lead_id: int) -> Lead:
    shown = getattr(request, "lead", None)  # the panel this is a part of has read it already
    if shown is not None and shown.pk == lead_id:
        return shown
    return get_object_or_404(Lead.objects.in_workspace(request.workspace), pk=lead_id)


def _detail(
    request: HttpRequest,
    audience: Audience,
    *,
    chosen: Iterable[str] | None = None,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    counted = Audience.objects.with_counts().get(pk=audience.pk)
    members = _members_after(audience, request.GET.get("after", ""))
    context: dict[str, Any] = {
        "audience": counted,
        "choices": _choices(audience.required_list if chosen is None else chosen),
        "members": members[:MEMBERS_PAGE],
        "more": len(members) > MEMBERS_PAGE,
        "paged": "after" in request.GET,
        "error": error,
        "sentence": NO_CHANGE,
    }
    return render(request, "audiences/audience_detail.html", context, status=status)


def _members_after(audience: Audience, cursor: str) -> list[Lead]:
    """One page of members and one more, in the order leads are served in, below ``cursor`` ("20.118")."""
    members = Lead.objects.filter(workspace=audience.workspace_id, memberships__audience=audience)
    numbers = _numbers(cursor.split("."))
    if len(numbers) == 2:
        priority, lead_id = numbers
        members = members.filter(Q(priority__gt=priority) | Q(priority=priority, pk__gt=lead_id))
    return list(members.order_by("priority", "pk")[: MEMBERS_PAGE + 1])


def _find_page(
    request: HttpRequest, audience: Audience, *, error: str = "", pasted: str = ""
) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:200]
    inside = Membership.objects.filter(audience=audience, lead=OuterRef("pk"))
    outside = Lead.objects.in_workspace(request.workspace).filter(~Exists(inside))
    found = outside.search(text) if text else outside
    leads = list(found.order_by("priority", "pk")[: RESULTS + 1])
    context = {
        "audience": audience,
        "q": text,
        "results": leads[:RESULTS],
        "more": len(leads) > RESULTS,
        "error": error,
        "pasted": pasted,
    }
    page, fragment = "audiences/audience_leads.html", "audiences/_lead_results.html"
    return render_either(request, page, fragment, context, status=422 if error else 200)


def _preview(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "audiences/_scope_preview.html", {"sentence": sentence})


def _lead_section(request: HttpRequest, lead: Lead) -> HttpResponse:
    audiences = Audience.objects.in_workspace(request.workspace).with_membership_of(lead.pk)
    joined = [audience for audience in audiences if audience.is_member]
    context = {
        "lead": lead,
        "joined": [(audience, _needs(lead, audience.required_list)) for audience in joined],
        "others": [audience for audience in audiences if not audience.is_member],
        "default_needs": _needs(lead, request.workspace.default_channel_list),
    }
    return render(request, "audiences/_lead_audiences.html", context)


def _lead_changed(request: HttpRequest, lead: Lead, words: str) -> HttpResponse:
    if not wants_fragment(request):
        messages.success(request, words)
        return redirect("leads:lead_panel", lead.pk)
    response = _lead_section(request, lead)
    add_trigger(response, f"lead-changed-{lead.pk}")
    return add_toast(response, words)


def _needs(lead: Lead, channels: Iterable[Channel]) -> list[tuple[Channel, bool]]:
    return [(channel, bool(lead.present_channels & channel.bit)) for channel in channels]


def _choices(chosen: Iterable[str]) -> list[tuple[Channel, bool]]:
    wanted = set(chosen)
    return [(channel, channel.value in wanted) for channel in Channel]


def _numbers(texts: Iterable[str]) -> list[int]:
    """Those of ``texts`` that can be a row's number; the rest is as if it had not been sent."""
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]


def _leads(count: int) -> str:
    return f"{count:,} {'lead' if count == 1 else 'leads'}"


def _added_words(added: services.Added, unmatched: Iterable[str] = ()) -> str:
    words = [f"{_leads(added.added)} added."]
    if added.already:
        words.append(f"{_leads(added.already)} {'was' if added.already == 1 else 'were'} already there.")
    if missing := list(unmatched):
        shown = ", ".join(piece[:60] for piece in missing[:3]) + (", …" if len(missing) > 3 else "")
        words.append(f"No lead for {len(missing):,} of the values: {shown}")
    return " ".join(words)
