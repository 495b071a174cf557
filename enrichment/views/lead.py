"""The lead panel's enrichment part and history, and the click that spends credits."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from core.channels import ALL_CHANNELS
from core.exceptions import DomainError
from core.htmx import STOP_POLLING, add_toast, add_trigger, render_either
from enrichment import history, panel
from enrichment.forms import StartEnrichmentForm
from enrichment.lead_record import LeadRecord
from enrichment.services import runs
from leads.models import Lead
from workspaces.access import rep_required, viewer_required

FILTERS = ("all", "charged", "found")


@require_GET
@viewer_required
def lead_enrichment(request: HttpRequest, lead_id: int) -> HttpResponse:
    """The panel part that shows what is known, what is under way and what can be done.

    With ``settled`` (a mask of channels already announced) it is the running box polling: it answers
    286 and says that the lead changed once nothing is under way any more.
    """
    record = _record(request, lead_id)
    settled = request.GET.get("settled", "")
    if not (settled.isascii() and settled.isdigit() and len(settled) < 10):
        return _render(request, record)
    over = record.active_item is None
    said = panel.settled_sentences(record, int(settled) & ALL_CHANNELS)
    response = _render(request, record, status=STOP_POLLING if over else 200, said=" ".join(said))
    if said or over:
        _say_changed(response, record.lead)
    return response


@require_POST
@rep_required
def start_enrichment(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Start enriching; the same click twice, and a click while one is under way, start nothing."""
    lead = _lead(request, lead_id)
    form = StartEnrichmentForm(request.POST)
    if not form.is_valid():
        return _refused(request, lead, "This form is out of date. Reload the page.")
    try:
        _, created = runs.start_enrichment(lead=lead, user=request.user, **form.cleaned_data)
    except DomainError as error:
        return _refused(request, lead, error.message)
    text = "" if created else "This enrichment has already started."
    if not request.htmx:
        messages.info(request, text or f"Enriching {lead.full_name}.")
        return redirect("leads:lead_panel", lead.pk)
    # What happened before the page asked again must not come from the rows read for the form.
    response = _render(request, _record(request, lead_id, fresh=True))
    _say_changed(response, lead)
    if text:
        add_toast(response, text)
    return response


@require_POST
@rep_required
def stop_enrichment(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Stop what is under way for the lead; calls in flight finish and are kept."""
    record = _record(request, lead_id)
    if record.active_item is not None:
        runs.stop_enrichment(item=record.active_item, user=request.user)
    text = "Stopping. Answers already on their way are kept."
    if not request.htmx:
        messages.info(request, text)
        return redirect("leads:lead_panel", lead_id)
    response = _render(request, _record(request, lead_id, fresh=True))
    _say_changed(response, record.lead)
    return add_toast(response, text)


@require_GET
@viewer_required
def lead_history(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Everything that happened to the lead, newest first; ten lines until all are asked for."""
    record = _record(request, lead_id)
    chosen = request.GET.get("show", "all")
    chosen = chosen if chosen in FILTERS else "all"
    lines = history.history_lines(record)
    kept = [
        line for line in lines if chosen == "all" or (line.credits if chosen == "charged" else line.found)
    ]
    everything = request.GET.get("length") == "all"
    context = {
        "lead": record.lead,
        "lines": kept if everything else kept[: history.LINES_SHOWN],
        "hidden": 0 if everything else max(0, len(kept) - history.LINES_SHOWN),
        "spent": record.spent,
        "chosen": chosen,
        "filters": [("all", "All"), ("charged", "Charged"), ("found", "Found")],
        "length": "all" if everything else "",
        "changed_event": _changed(record.lead),
    }
    return _render_part(request, "_lead_history.html", "History", context)


def _lead(request: HttpRequest, lead_id: int) -> Lead:
    """The lead: the one the page around this part has read already, else the workspace's own by id."""
    known = getattr(request, "lead", None)
    if known is not None and (known.pk, known.workspace_id) == (lead_id, request.workspace.pk):
        lead = known
    else:
        lead = get_object_or_404(Lead.objects.in_workspace(request.workspace), pk=lead_id)
    lead.workspace = request.workspace
    return lead


def _record(request: HttpRequest, lead_id: int, *, fresh: bool = False) -> LeadRecord:
    """What is known about the lead, read once for all parts of one page."""
    known = getattr(request, "lead_record", None)
    if fresh or known is None or known.lead.pk != lead_id:
        known = request.lead_record = LeadRecord(_lead(request, lead_id))
    return known


def _changed(lead: Lead) -> str:
    return f"lead-changed-{lead.pk}"


def _say_changed(response: HttpResponse, lead: Lead) -> None:
    """Every part of the page that shows the lead, and the balance in the sidebar, asks for itself again."""
    add_trigger(response, _changed(lead))
    add_trigger(response, "credits-changed")


def _refused(request: HttpRequest, lead: Lead, message: str) -> HttpResponse:
    """Nothing was started: say why, with the price and the choices as they are now."""
    if not request.htmx:
        messages.error(request, message)
        return redirect("leads:lead_panel", lead.pk)
    return _render(request, _record(request, lead.pk, fresh=True), status=422, problem=message)


def _render(
    request: HttpRequest,
    record: LeadRecord,
    *,
    status: int = 200,
    problem: str = "",
    said: str = "",
) -> HttpResponse:
    box = panel.run_box(record)
    action = None if box else panel.action_for(record)
    rows = panel.channel_rows(record)
    can_enrich = request.membership.can_enrich
    context = {
        "lead": record.lead,
        "can_enrich": can_enrich,
        "is_admin": request.membership.is_admin,
        "box": box,
        "action": action,
        "rows": rows,
        "found": sum(row.point is not None for row in rows),
        "gaps": panel.gaps(record, action.offer if action else None),
        "note": None if box else panel.outcome_note(record),
        # Where the answer to the click is to ask again, the outcome stands beside that button.
        "show_note": not (can_enrich and action and action.preview.blocked == "asked_recently"),
        "problem": problem,
        "said": said,
    }
    return _render_part(request, "_lead_enrichment.html", "Enrichment", context, status=status)


def _render_part(
    request: HttpRequest, name: str, heading: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    """A part of the panel, or a page around it where it was opened by itself."""
    part = f"enrichment/{name}"
    context |= {"part": part, "heading": heading}
    return render_either(request, "enrichment/lead_part.html", part, context, status=status)
