"""Adds the leads of an import to an audience, from the import's report."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from audiences import services
from audiences.exceptions import AudienceError
from audiences.models import Audience
from leads.models import Lead, LeadImport
from workspaces.access import rep_required


@require_http_methods(["GET", "HEAD", "POST"])
@rep_required
def add_import(request: HttpRequest, import_id: int) -> HttpResponse:
    """The choice of an audience (a part of the report), and what happens when one is chosen."""
    lead_import = get_object_or_404(LeadImport, workspace=request.workspace, pk=import_id)
    if request.method == "POST":
        _add(request, lead_import)
        return redirect("leads:lead_import_detail", lead_import.pk)
    audiences = Audience.objects.in_workspace(request.workspace)
    context = {"lead_import": lead_import, "audiences": audiences}
    return render(request, "audiences/_add_import.html", context)


def _add(request: HttpRequest, lead_import: LeadImport) -> None:
    chosen = request.POST.get("audience", "")
    named = chosen.isascii() and chosen.isdecimal() and len(chosen) < 19
    audiences = Audience.objects.in_workspace(request.workspace)
    audience = audiences.filter(pk=int(chosen)).first() if named else None
    if audience is None:
        messages.error(request, "Choose an audience.")
        return
    leads = Lead.objects.in_workspace(request.workspace).filter(last_import=lead_import)
    try:
        added = services.add_leads(
            audience=audience, lead_ids=leads.values_list("pk", flat=True), actor=request.user
        )
    except AudienceError as error:
        messages.error(request, error.message)
    else:
        already = f", {added.already:,} were already in it" if added.already else ""
        messages.success(request, f"{added.added:,} leads added to {audience.name}{already}.")
