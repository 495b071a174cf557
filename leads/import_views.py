"""Importing a CSV file of leads, and the report of what became of each row."""

import csv
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from core.exceptions import DomainError
from core.spreadsheets import safe_cell
from leads import services
from leads.import_forms import LeadImportForm
from leads.models import LeadImport
from workspaces.access import rep_required

SHOWN_LINES = 100
RECENT = 10


@require_http_methods(["GET", "HEAD", "POST"])
@rep_required
def lead_import(request: HttpRequest) -> HttpResponse:
    """Choose a file; a good one is imported at once and its report is shown."""
    form = LeadImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        form = LeadImportForm(request.POST, request.FILES)
        if form.is_valid() and (done := _import(request, form)):
            return redirect("leads:lead_import_detail", done.pk)
    recent = LeadImport.objects.filter(workspace=request.workspace).select_related("imported_by")
    context = {"form": form, "recent": recent.defer("refused_rows", "warnings")[:RECENT]}
    return render(request, "leads/lead_import.html", context, status=422 if form.errors else 200)


@require_safe
@rep_required
def lead_import_detail(request: HttpRequest, import_id: int) -> HttpResponse:
    """What a file brought in, what was refused and why."""
    done = _import_or_404(request, import_id)
    context = {
        "lead_import": done,
        "lead_count": done.leads.count(),
        "refused": done.refused_rows[:SHOWN_LINES],
        "warnings": done.warnings[:SHOWN_LINES],
    }
    return render(request, "leads/lead_import_detail.html", context)


@require_safe
@rep_required
@never_cache
def lead_import_refused(request: HttpRequest, import_id: int) -> StreamingHttpResponse:
    """The refused rows as CSV: with their lines and reasons first, and no cell that a spreadsheet would run."""
    done = _import_or_404(request, import_id)
    response = StreamingHttpResponse(_refused_csv(done), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="refused-rows-{done.pk}.csv"'
    return response


def _import_or_404(request: HttpRequest, import_id: int) -> LeadImport:
    imports = LeadImport.objects.filter(workspace=request.workspace).select_related("imported_by")
    return get_object_or_404(imports, pk=import_id)


def _import(request: HttpRequest, form: LeadImportForm) -> LeadImport | None:
    file = form.cleaned_data["file"]
    try:
        return services.import_leads(
            workspace=request.workspace,
            data=file.read(),
            file_name=file.name,
            idempotency_key=form.cleaned_data["idempotency_key"],
            actor=request.user,
        )
    except DomainError as error:
        form.add_error("file", error.message)
        return None


class _Echo:
    """A file whose writes are handed back."""

    def write(self, text: str) -> str:
        """What the CSV writer made of a row."""
        return text


def _refused_csv(done: LeadImport) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(["Line", "Reason", *map(safe_cell, done.columns)])
    for row in done.refused_rows:
        yield writer.writerow([row["line"], safe_cell(row["reason"]), *map(safe_cell, row["row"])])
