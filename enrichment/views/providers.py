"""The vendors a workspace has accounts with: connecting, testing, switching, and what went wrong lately."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.channels import Channel
from core.htmx import wants_fragment
from enrichment import figures
from enrichment.adapters import ADAPTERS
from enrichment.forms import CredentialsForm, ProviderSettingsForm
from enrichment.models import Provider
from enrichment.services import providers as services
from workspaces.access import admin_required


@require_GET
@admin_required
def provider_list(request: HttpRequest) -> HttpResponse:
    """Every provider with its state and what it did in the last 30 days."""
    rows = figures.provider_rows(request.workspace)
    return render(request, "enrichment/provider_list.html", {"rows": rows, "days": figures.PROVIDER_DAYS})


@require_http_methods(["GET", "HEAD", "POST"])
@admin_required
def connect_provider(request: HttpRequest) -> HttpResponse:
    """Choose a vendor, give its key; saved once a test passes, or untested and switched off if so asked."""
    vendor = request.POST.get("vendor") or request.GET.get("vendor", "")
    if vendor not in ADAPTERS:
        vendor = ""
    context: dict[str, Any] = {"adapters": _vendor_choices(), "vendor": vendor}
    if request.method != "POST" or not vendor:
        if vendor:
            context |= _connect_forms(vendor)
        return render(request, "enrichment/connect_provider.html", context)
    settings_form = ProviderSettingsForm(request.POST)
    key_form = CredentialsForm(vendor, request.POST)
    context |= {
        "settings_form": settings_form,
        "key_form": key_form,
        "vendor_name": ADAPTERS[vendor].name,
    }
    if not (settings_form.is_valid() & key_form.is_valid()):
        return render(request, "enrichment/connect_provider.html", context, status=422)
    tested = None
    if "save_anyway" not in request.POST:
        tested = services.check_credentials(
            vendor=vendor,
            credentials=key_form.cleaned_data,
            base_url=settings_form.cleaned_data["base_url"],
        )
        if not tested.ok:
            return _failed_test(request, context, tested)
    provider = services.connect_provider(
        workspace=request.workspace,
        user=request.user,
        vendor=vendor,
        credentials=key_form.cleaned_data,
        tested=tested,
        **settings_form.cleaned_data,
    )
    if tested:
        messages.success(request, f"{provider.name} is connected. {tested.message}")
    else:
        messages.warning(request, f"{provider.name} is saved without a test and switched off.")
    return _to_detail(request, provider)


@require_http_methods(["GET", "HEAD", "POST"])
@admin_required
def provider_detail(request: HttpRequest, provider_id: int) -> HttpResponse:
    """One provider's settings, prices and last errors; a POST changes the settings."""
    provider = _provider(request, provider_id)
    if request.method != "POST":
        return _detail(request, provider)
    form = ProviderSettingsForm(request.POST)
    if not form.is_valid():
        return _detail(request, provider, settings_form=form, status=422)
    had_key = bool(provider.key_hint)
    changed = services.update_provider(provider=provider, user=request.user, **form.cleaned_data)
    if had_key and not changed.key_hint:
        messages.warning(request, "Saved. The key was entered for another host: enter it again to go on.")
    else:
        messages.success(request, "Saved.")
    return _to_detail(request, provider)


@require_POST
@admin_required
def replace_key(request: HttpRequest, provider_id: int) -> HttpResponse:
    """Store another key once a test passes, or untested if so asked; the old one stays until then."""
    provider = _provider(request, provider_id)
    if provider.vendor not in ADAPTERS:
        return _detail(request, provider, status=422)
    form = CredentialsForm(provider.vendor, request.POST)
    if not form.is_valid():
        return _detail(request, provider, key_form=form, status=422)
    tested = None
    if "save_anyway" not in request.POST:
        tested = services.check_credentials(
            vendor=provider.vendor, credentials=form.cleaned_data, base_url=provider.base_url
        )
        if not tested.ok:
            return _failed_test(request, {}, tested, provider=provider)
    services.replace_credentials(
        provider=provider, user=request.user, credentials=form.cleaned_data, tested=tested
    )
    messages.success(request, f"The key was replaced. {tested.message if tested else 'It was not tested.'}")
    return _to_detail(request, provider)


@require_POST
@admin_required
def test_provider(request: HttpRequest, provider_id: int) -> HttpResponse:
    """Ask the vendor whether the stored key works and show what it said."""
    provider = _provider(request, provider_id)
    result = services.test_provider(provider=provider, user=request.user)
    if wants_fragment(request):  # the page's whole part: the test changes the state and the facts beside it
        return _detail(request, _provider(request, provider_id), result=result)
    (messages.success if result.ok else messages.error)(request, result.message)
    return _to_detail(request, provider)


@require_POST
@admin_required
def switch_provider(request: HttpRequest, provider_id: int) -> HttpResponse:
    """Switch a provider on ("on=1") or off for all waterfalls."""
    provider = _provider(request, provider_id)
    on = request.POST.get("on") == "1"
    services.set_provider_enabled(provider=provider, enabled=on, user=request.user)
    messages.success(request, f"{provider.name} is switched {'on' if on else 'off'}.")
    return redirect("enrichment:provider_list")


# pytest would take a function of this name for a test wherever it is imported.
test_provider.__test__ = False


def _provider(request: HttpRequest, provider_id: int) -> Provider:
    provider = get_object_or_404(Provider.objects.in_workspace(request.workspace), pk=provider_id)
    provider.workspace = request.workspace
    return provider


def _vendor_choices() -> list[dict[str, object]]:
    return [
        {
            "slug": slug,
            "name": adapter.name,
            "channels": [channel for channel in Channel if channel.value in adapter.channels],
        }
        for slug, adapter in sorted(ADAPTERS.items())
    ]


def _connect_forms(vendor: str) -> dict[str, Any]:
    adapter = ADAPTERS[vendor]
    return {
        "settings_form": ProviderSettingsForm(
            initial={"name": adapter.name, "timeout_seconds": 15, "recheck_days": 30}
        ),
        "key_form": CredentialsForm(vendor),
        "vendor_name": adapter.name,
    }


def _failed_test(
    request: HttpRequest,
    context: dict[str, Any],
    result: services.CheckResult,
    *,
    provider: Provider | None = None,
) -> HttpResponse:
    """Say why the test failed. A script swaps only the result line, so what was typed stays in the browser."""
    if wants_fragment(request):
        response = render(request, "enrichment/_test_result.html", {"result": result}, status=422)
        response["HX-Retarget"], response["HX-Reswap"] = "#test-result", "outerHTML"
        response["HX-Reselect"] = "#test-result"  # the form itself selects a whole page
        return response
    if provider is not None:
        return _detail(request, provider, result=result, status=422)
    return render(request, "enrichment/connect_provider.html", {**context, "result": result}, status=422)


def _detail(request: HttpRequest, provider: Provider, *, status: int = 200, **extra: Any) -> HttpResponse:
    median = figures.median_answer_times(request.workspace).get(provider.pk)
    rates = figures.hit_rates(request.workspace, days=figures.PROVIDER_DAYS)
    known = provider.vendor in ADAPTERS
    context = {
        "provider": provider,
        "known": known,
        "state": figures.provider_state(provider),
        "prices": figures.prices_of(provider),
        "median_ms": round(median[0]) if median else None,
        "hit_rate": rates.get(provider.pk, figures.HitRate()),
        "days": figures.PROVIDER_DAYS,
        "errors": figures.recent_errors(provider),
        "limits": [limit.replace("/", " a ") for limit in ADAPTERS[provider.vendor].limits] if known else [],
        "settings_form": ProviderSettingsForm(
            initial={
                "name": provider.name,
                "base_url": provider.base_url,
                "timeout_seconds": provider.timeout_seconds,
                "recheck_days": provider.recheck_days,
            }
        ),
        "key_form": CredentialsForm(provider.vendor) if known else None,
        **extra,
    }
    return render(request, "enrichment/provider_detail.html", context, status=status)


def _to_detail(request: HttpRequest, provider: Provider) -> HttpResponse:
    """Go to the provider's page, by htmx's own redirect where a script sent the form."""
    response = redirect("enrichment:provider_detail", provider.pk)
    if not request.htmx:
        return response
    answer = HttpResponse(status=204)
    answer["HX-Redirect"] = response["Location"]
    return answer
