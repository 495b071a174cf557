"""The order in which each channel's providers are asked: shown to everybody, changed by admins."""

from collections.abc import Sequence

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from core.channels import Channel
from core.exceptions import DomainError
from enrichment import figures
from enrichment.exceptions import WaterfallConflict
from enrichment.forms import Draft
from enrichment.models import Provider, Waterfall, WaterfallVersion
from enrichment.services.waterfalls import (
    StepState,
    current_steps,
    ensure_waterfalls,
    moved_providers,
    roll_back,
    save_waterfall,
    waterfall_for,
)
from workspaces.access import admin_required, viewer_required

VERSIONS_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
def waterfall(request: HttpRequest, channel: str = Channel.WORK_EMAIL.value) -> HttpResponse:
    """Show a channel's order. A POST carries a draft: a move shows it again, Save makes it a version."""
    row = _waterfall(request, channel)
    if request.method != "POST":
        return _page(request, row)
    if not request.membership.is_admin:
        raise PermissionDenied("Only admins can change waterfalls.")
    if row.pk is None:
        row = ensure_waterfalls(request.workspace)[channel]
    live = current_steps(row)
    draft = Draft.from_post(request.POST, live)
    if "save" not in request.POST:
        return _page(request, row, draft=draft.moved(request.POST.get("move", "")))
    try:
        version = save_waterfall(
            waterfall=row, steps=draft.as_pairs(), base_version=draft.base_version, user=request.user
        )
    except WaterfallConflict as error:
        return _conflict(request, row, error.message)
    except DomainError as error:
        messages.error(request, error.message)
        return _page(request, row, draft=draft, status=422)
    if version is None or version.number == draft.base_version:
        messages.info(request, "Nothing had changed.")
    else:
        messages.success(request, f"Saved as v{version.number}. New runs use it from now on.")
    return redirect("enrichment:waterfall", channel)


@require_POST
@admin_required
def roll_back_waterfall(request: HttpRequest, channel: str, number: int) -> HttpResponse:
    """Make an earlier version's order the live one, as a new version."""
    row = _waterfall(request, channel)
    get_object_or_404(WaterfallVersion, waterfall_id=row.pk, number=number)
    before = row.version
    version = roll_back(waterfall=row, number=number, user=request.user)
    if version is None or version.number == before:
        messages.info(request, f"The live order is already that of v{number}.")
    else:
        messages.success(request, f"Rolled back to v{number}, saved as v{version.number}.")
    return redirect("enrichment:waterfall", channel)


def _waterfall(request: HttpRequest, channel: str) -> Waterfall:
    if channel not in Channel.values:
        raise Http404
    row = waterfall_for(request.workspace, channel)
    row.workspace = request.workspace
    return row


def _conflict(request: HttpRequest, row: Waterfall, message: str) -> HttpResponse:
    """Somebody saved first: their order is live now, the posted one is kept as a draft on top of it."""
    row.refresh_from_db(fields=["version"])
    live = current_steps(row)
    draft = Draft.from_post(request.POST, live)
    rebased = Draft(draft.steps, row.version)
    return _page(request, row, draft=rebased, conflict=message, status=409)


def _page(
    request: HttpRequest,
    row: Waterfall,
    *,
    draft: Draft | None = None,
    conflict: str = "",
    status: int = 200,
) -> HttpResponse:
    live = current_steps(row)
    shown = draft.steps if draft else live
    providers = {provider.pk: provider for provider in Provider.objects.in_workspace(request.workspace)}
    rates = figures.hit_rates(request.workspace, days=figures.WATERFALL_DAYS, channel=row.channel)
    shares = figures.found_shares(request.workspace)
    share = shares.get(row.channel, figures.HitRate())
    base_version = draft.base_version if draft else row.version
    rows = figures.waterfall_rows(
        waterfall=row,
        steps=shown,
        live=live,
        providers=providers,
        rates=rates,
    )
    versions, more = _versions(request, row)
    context = {
        "waterfall": row,
        "channel": Channel(row.channel),
        "tabs": [(channel, shares.get(channel.value, figures.HitRate())) for channel in Channel],
        "rows": rows,
        "changes": _change_words(rows, live),
        "base_version": base_version,
        "next_version": row.version + 1,
        "may_change": request.membership.is_admin,
        "figures": figures.live_figures(request.workspace, row.channel, share, rates.values()),
        "days": figures.WATERFALL_DAYS,
        "versions": versions,
        "more_versions": more,
        "comparison": _comparison(request, row),
        "conflict": conflict,
        "conflict_sides": _sides(("Live", live), ("Your draft", shown)) if conflict else None,
    }
    return render(request, "enrichment/waterfall.html", context, status=status)


def _change_words(rows: Sequence[figures.WaterfallRow], live: Sequence[StepState]) -> list[str]:
    """The draft's changes in short: "Prospeo 3 → 2", "Apollo off"."""
    enabled = {step.provider: step.enabled for step in live}
    words = [f"{row.step.name} {row.was} → {row.position}" for row in rows if row.moved]
    words += [
        f"{row.step.name} {'on' if row.step.enabled else 'off'}"
        for row in rows
        if row.step.enabled != enabled.get(row.step.provider, row.step.enabled)
    ]
    return words


def _versions(request: HttpRequest, row: Waterfall) -> tuple[list[WaterfallVersion], bool]:
    everything = request.GET.get("versions") == "all"
    found = WaterfallVersion.objects.filter(waterfall_id=row.pk).select_related("saved_by")
    listed = list(found if everything else found[: VERSIONS_SHOWN + 1])
    return listed if everything else listed[:VERSIONS_SHOWN], not everything and len(listed) > VERSIONS_SHOWN


def _comparison(request: HttpRequest, row: Waterfall) -> dict[str, object] | None:
    """Two chosen versions side by side; anything that is no version of this waterfall is ignored."""
    chosen = [request.GET.get(name, "") for name in ("from", "to")]
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in chosen):
        return None
    rows = WaterfallVersion.objects.filter(waterfall_id=row.pk, number__in=[int(text) for text in chosen])
    found = {version.number: version for version in rows}
    older, newer = (found.get(int(text)) for text in chosen)
    if older is None or newer is None:
        return None
    before = [StepState.from_json(line) for line in older.steps]
    after = [StepState.from_json(line) for line in newer.steps]
    return {
        "older": older,
        "newer": newer,
        "sides": _sides((f"v{older.number}", before), (f"v{newer.number}", after)),
    }


def _sides(
    left: tuple[str, Sequence[StepState]], right: tuple[str, Sequence[StepState]]
) -> list[dict[str, object]]:
    """Two orders for a side-by-side list, with the lines that differ marked on the right."""
    before, after = left[1], right[1]
    states = {step.provider: step.enabled for step in before}
    moved = moved_providers(before, after)
    marks = {
        step.provider: "moved"
        if step.provider in moved
        else ("added" if step.provider not in states else "switched")
        for step in after
        if step.provider in moved or states.get(step.provider) != step.enabled
    }
    return [
        {"title": left[0], "lines": [(step, "") for step in before]},
        {"title": right[0], "lines": [(step, marks.get(step.provider, "")) for step in after]},
    ]
