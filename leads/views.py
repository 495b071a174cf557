"""The leads list and the panel beside it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from core.channels import Channel
from core.htmx import render_either, wants_fragment
from leads.forms import LeadListForm
from leads.listing import ORDERS, Sort, attach_row_details, neighbours, page_of
from leads.models import Lead
from leads.querysets import LeadQuerySet
from workspaces.access import viewer_required
from workspaces.models import Workspace

PAGE_SIZE = 50
# Beyond this many the list says "10,000+": an exact count would cost more than the page.
COUNT_CAP = 10_000


@require_safe
@viewer_required
def lead_list(request: HttpRequest) -> HttpResponse:
    """The list, or only its table when htmx asks."""
    context = _list_context(request)
    response = render_either(request, "leads/lead_list.html", "leads/_lead_table.html", context)
    if wants_fragment(request):
        response["HX-Push-Url"] = context["list_url"]  # without the empty fields of a form
    return response


@require_safe
@viewer_required
def lead_panel(request: HttpRequest, lead_id: int) -> HttpResponse:
    """One lead beside the list it was opened from; opened by its address, the list comes along."""
    # The parts of the panel that other apps render find the lead here.
    lead = request.lead = _lead_or_404(request, lead_id)
    form = LeadListForm(request.GET, workspace=request.workspace)
    previous, following = neighbours(_matching(request.workspace, form), form.ordering, lead)
    panel = {"lead": lead, "previous_lead": previous, "next_lead": following, "list_url": _list_url(request)}
    if wants_fragment(request):
        response = render(request, "leads/_lead_panel.html", panel)
    else:
        response = render(request, "leads/lead_list.html", {**_list_context(request, form), **panel})
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
@viewer_required
def lead_row(request: HttpRequest, lead_id: int) -> HttpResponse:
    """One row of the list, asked for again when its lead changed."""
    lead = _lead_or_404(request, lead_id)
    attach_row_details([lead])
    return render(request, "leads/_lead_row.html", {"row": lead})


@require_safe
@viewer_required
def lead_head(request: HttpRequest, lead_id: int) -> HttpResponse:
    """The head of the panel (who, status, score, place), asked for again when its lead changed."""
    return render(request, "leads/_lead_head.html", {"lead": _lead_or_404(request, lead_id)})


def _lead_or_404(request: HttpRequest, lead_id: int) -> Lead:
    return get_object_or_404(Lead.objects.in_workspace(request.workspace).with_live_state(), pk=lead_id)


def _matching(workspace: Workspace, form: LeadListForm, **changes: Any) -> LeadQuerySet:
    filters = {
        "text": form.value("q"),
        "status": form.value("status"),
        "audience": form.value("audience"),
        "missing": form.value("missing"),
    }
    return Lead.objects.in_workspace(workspace).matching(**{**filters, **changes})


def _list_url(request: HttpRequest) -> str:
    parameters = request.GET.copy()
    for name in [name for name, value in parameters.items() if not value]:
        del parameters[name]
    query = parameters.urlencode()
    return reverse("leads:lead_list") + (f"?{query}" if query else "")


def _list_context(request: HttpRequest, form: LeadListForm | None = None) -> dict[str, Any]:
    form = form or LeadListForm(request.GET, workspace=request.workspace)
    rows = _matching(request.workspace, form).with_live_state()
    page = page_of(rows, form.ordering, request.GET.get("cursor", ""), PAGE_SIZE)
    attach_row_details(page.leads)
    tabs = _tabs(request.workspace, form)
    return {
        "form": form,
        "page": page,
        "tabs": tabs,
        "total": next(tab["count"] for tab in tabs if tab["current"]),
        "count_cap": COUNT_CAP,
        "heads": _heads(form.ordering),
        "channels": Channel,
        "list_url": _list_url(request),
    }


def _tabs(workspace: Workspace, form: LeadListForm) -> list[dict[str, Any]]:
    """The statuses with the number of leads in each under the other filters, in one query."""
    counts = Workspace.objects.filter(pk=workspace.pk).values(
        **{
            f"{status}_count": _matching(workspace, form, status=status).capped_count(COUNT_CAP)
            for status in Lead.Status.values
        }
    )[0]
    chosen = form.value("status")
    tabs = [
        {"status": status, "label": label, "count": counts[f"{status}_count"], "current": chosen == status}
        for status, label in Lead.Status.choices
    ]
    everything = {
        "status": "",
        "label": "All",
        "count": sum(tab["count"] for tab in tabs),
        "current": not chosen,
    }
    return [everything, *tabs]


def _heads(sort: Sort) -> dict[str, dict[str, Any]]:
    """For each sortable column: the sort its head asks for, and the direction it has now."""
    return {
        key: {
            "sort": str(Sort(order, not sort.reversed)) if order is sort.order else key,
            "direction": sort.direction if order is sort.order else "",
        }
        for key, order in ORDERS.items()
    }
