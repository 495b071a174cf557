"""Billing's pages: what credits there are, what they were spent on, and the few things an admin sets."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing import services
from billing.calendar import zone_of
from billing.charts import budget_meter, spend_chart
from billing.exceptions import KeyConflict
from billing.forms import BudgetForm, GrantForm, LedgerFilterForm, RateForm
from billing.models import BudgetPeriod, CreditAccount, LedgerEntry, Rate
from billing.spending import known_providers, rate_lines, spending_in
from billing.statement import csv_lines, ledger_page
from core.channels import Channel
from core.htmx import render_either
from workspaces.access import admin_required, viewer_required
from workspaces.models import Workspace

NEWEST = 10

read_and_post = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@admin_required
def overview(request: HttpRequest) -> HttpResponse:
    """Balance, budget, spend by day, rates and the newest entries."""
    workspace, today = request.workspace, _today(request.workspace)
    account = CreditAccount.objects.filter(workspace=workspace).first() or CreditAccount()
    budget = services.budget_of(workspace)
    period = services.period_now(workspace=workspace, budget=budget)
    spending = spending_in(workspace=workspace, period=period, today=today)
    by = "provider" if request.GET.get("by") == "provider" else "channel"
    context = {
        "account": account,
        "balance": account.available + account.held,
        "budget": budget,
        "period": period,
        "month": _month(period, workspace),
        "left": _budget_left(period),
        "spending": spending,
        "average": spending.total / spending.values if spending.values else None,
        "by": by,
        "chart": spend_chart(
            spending=spending,
            monthly_limit=period.monthly_limit,
            names=known_providers(workspace) if by == "provider" else None,
        ),
        "lines": rate_lines(workspace=workspace, defaults=services.DEFAULT_RATES, spending=spending),
        "rows": ledger_page(workspace=workspace, size=NEWEST).rows,
        "grant_form": GrantForm(),
        "budget_form": BudgetForm(budget=budget),
    }
    if period.hard_limit is not None:
        context["meter"] = budget_meter(spending=spending, held=period.reserved, limit=period.hard_limit)
    return render_either(request, "billing/overview.html", "billing/_spend_by_day.html", context)


@require_safe
@admin_required
def ledger(request: HttpRequest) -> HttpResponse:
    """The whole ledger, in pages; filtered by kind, with holds and releases on request."""
    form = LedgerFilterForm(request.GET)
    chosen = form.chosen()
    page = ledger_page(workspace=request.workspace, **chosen)
    context = {"page": page, "rows": page.rows, "kinds": LedgerEntry.Kind.choices, **chosen}
    return render_either(request, "billing/ledger.html", "billing/_ledger.html", context)


@require_safe
@admin_required
def ledger_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The ledger as a CSV file, oldest first, under the filter of the page it was asked from."""
    workspace, chosen = request.workspace, LedgerFilterForm(request.GET).chosen()
    lines = csv_lines(
        workspace=workspace,
        kind=chosen["kind"],
        with_holds=chosen["with_holds"],
        zone=zone_of(workspace.timezone),
    )
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="ledger-{_today(workspace)}.csv"'
    return response


@read_and_post
@admin_required
def grant(request: HttpRequest) -> HttpResponse:
    """Add credits. The same form sent twice adds them once."""
    form = GrantForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        data = form.cleaned_data
        try:
            entry = services.grant_credits(
                workspace=request.workspace,
                amount=data["amount"],
                note=data["note"],
                key=str(data["key"]),
                actor=request.user,
            )
        except KeyConflict as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{_credits(entry.amount)} added.")
            return redirect("billing:overview")
    return _form_page(request, "billing/grant.html", form)


@read_and_post
@admin_required
def edit_budget(request: HttpRequest) -> HttpResponse:
    """The monthly limit, its renewal day and the alert."""
    budget = services.budget_of(request.workspace)
    form = BudgetForm(request.POST if request.method == "POST" else None, budget=budget)
    if form.is_valid():
        budget = services.set_budget(workspace=request.workspace, actor=request.user, **form.cleaned_data)
        limit = budget.monthly_limit
        messages.success(
            request,
            "There is no monthly limit now."
            if limit is None
            else f"The budget is {_credits(limit)} a month.",
        )
        return redirect("billing:overview")
    return _form_page(request, "billing/edit_budget.html", form)


@read_and_post
@admin_required
def edit_rate(request: HttpRequest, channel: str) -> HttpResponse:
    """What a contact on one channel costs: for every provider, and for those that differ."""
    if channel not in Channel.values:
        raise Http404("No such channel.")
    workspace, channel = request.workspace, Channel(channel)
    rates = dict(Rate.objects.filter(workspace=workspace, channel=channel).values_list("provider", "credits"))
    providers = known_providers(workspace)
    form = RateForm(
        request.POST if request.method == "POST" else None,
        credits=rates.get("", services.DEFAULT_RATES[channel.value]),
        rates=rates,
        providers=providers,
    )
    if form.is_valid():
        changed = {slug: n for slug, n in form.wanted().items() if n != rates.get(slug)}
        services.set_rates(
            workspace=workspace, channel=channel, rates=changed, names=providers, actor=request.user
        )
        messages.success(request, f"Rates for {channel.label} saved. Work that runs keeps the old ones.")
        return redirect("billing:overview")
    return _form_page(request, "billing/edit_rate.html", form, channel=channel)


@require_POST
@admin_required
def unfreeze(request: HttpRequest) -> HttpResponse:
    """Allow new spending again after an admin looked at what the ledger check found."""
    faults = services.find_ledger_faults(request.workspace)
    if faults:
        messages.error(
            request, f"Still {len(faults)} fault{'s' if len(faults) > 1 else ''}: {faults[0].text}."
        )
    elif services.unfreeze_account(
        workspace_id=request.workspace.pk, reason="The ledger was checked and is sound.", actor=request.user
    ):
        messages.success(request, "The ledger is sound. New spending is allowed again.")
    return redirect("billing:overview")


@require_safe
@viewer_required
def balance_card(request: HttpRequest) -> HttpResponse:
    """The sidebar's card: how much of the month's budget is used, or the credits that are left."""
    # One query for everything that may be missing: the account and the budget.
    workspace = Workspace.objects.select_related("credit_account", "budget").get(pk=request.workspace.pk)
    account = getattr(workspace, "credit_account", None) or CreditAccount()
    budget = getattr(workspace, "budget", None)
    context: dict[str, Any] = {"account": account, "limit": budget.monthly_limit if budget else None}
    if context["limit"] is not None:
        period = services.period_now(workspace=workspace, budget=budget)
        share = period.spent / context["limit"] if context["limit"] else 1
        context |= {
            "period": period,
            "month": _month(period, workspace),
            "days_left": (period.ends_at - timezone.now()).days + 1,
            "fill": "bad" if share >= 1 else "warn" if share * 100 >= budget.alert_percent else "accent",
        }
    return render(request, "billing/_balance_card.html", context)


def _form_page(request: HttpRequest, template: str, form: Any, **context: Any) -> HttpResponse:
    return render(request, template, {"form": form, **context}, status=422 if form.errors else 200)


def _today(workspace: Workspace) -> date:
    return timezone.localtime(timezone=zone_of(workspace.timezone)).date()


def _month(period: BudgetPeriod, workspace: Workspace) -> str:
    """How people call the period: by the month it begins in."""
    return f"{period.starts_at.astimezone(zone_of(workspace.timezone)):%B}"


def _budget_left(period: BudgetPeriod) -> int | None:
    if period.hard_limit is None:
        return None
    return period.hard_limit - period.reserved - period.spent


def _credits(number: int) -> str:
    return f"{number:,} credit" if number == 1 else f"{number:,} credits"
