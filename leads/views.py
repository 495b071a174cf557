"""The leads list and the panel beside it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

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
# Up to this many, what matches is found first and ordered afterwards.
FEW = 2_000


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
    leads = Lead.objects.in_workspace(request.workspace).with_live_state().with_suppressions()
    lead = request.lead = get_object_or_404(leads, pk=lead_id)
    form = LeadListForm(request.GET, workspace=request.workspace)
    rows = _matching(request.workspace, form)
    if form.is_narrowed and len(rows.order_by().values("pk")[: FEW + 1]) <= FEW:
        rows = rows.found_first(FEW)
    previous, following = neighbours(rows, form.ordering, lead)
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
        "lead_import": form.value("imported"),
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
    tabs = _tabs(request.workspace, form)
    total = next(tab["count"] for tab in tabs if tab["current"])
    rows = _matching(request.workspace, form)
    if form.is_narrowed and total <= FEW:
        rows = rows.found_first(FEW)
    page = page_of(rows.with_live_state(), form.ordering, request.GET.get("cursor", ""), PAGE_SIZE)
    attach_row_details(page.leads)
    return {
        "form": form,
        "page": page,
        "tabs": tabs,
        "total": total,
        "count_cap": COUNT_CAP,
        "heads": _heads(form.ordering),
        "list_url": _list_url(request),
    }


def _tabs(workspace: Workspace, form: LeadListForm) -> list[dict[str, Any]]:
    """The statuses, with the number of leads in each under the other filters as far as counting is cheap."""
    chosen = form.value("status")
    rows = _matching(workspace, form, status="")
    counts = rows.count_by_status(COUNT_CAP)
    everything = COUNT_CAP + 1 if counts is None else sum(counts.values())
    if counts is None:  # an index counts statuses; with another filter, only what is asked for is counted
        cheap = [chosen] if form.value("q") or form.chosen_filters else Lead.Status.values
        counts = rows.capped_counts([status for status in cheap if status], COUNT_CAP)
    tabs = [("", "All", everything), *((*choice, counts.get(choice[0])) for choice in Lead.Status.choices)]
    return [
        {"status": status, "label": label, "count": count, "current": status == chosen}
        for status, label, count in tabs
    ]


def _heads(sort: Sort) -> dict[str, dict[str, Any]]:
    """For each sortable column: the sort its head asks for, and the direction it has now."""
    return {
        key: {
            "sort": str(Sort(order, not sort.reversed)) if order is sort.order else key,
            "direction": sort.direction if order is sort.order else "",
        }
        for key, order in ORDERS.items()
    }
