"""Starts, previews and stops the enrichment of one lead."""

import uuid
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import services as billing
from billing.exceptions import AccountFrozen, InsufficientCredits, OverBudget
from core.channels import Channel
from enrichment.engine.plan import RECENT_MISS, Orders, Planner, PlanStep
from enrichment.exceptions import (
    KeyReused,
    LeadSuppressed,
    NobodyToAsk,
    NothingToEnrich,
    PriceChanged,
)
from enrichment.jobs import wake_workers
from enrichment.models import ChannelEnrichment, Lookup, Run, RunItem
from leads import services as lead_services
from leads.models import ContactPoint, Lead, LeadEvent
from workspaces.models import User


@dataclass(frozen=True)
class ChannelPlan:
    """One missing channel: its order and the most its find can cost, in credits."""

    steps: list[PlanStep]
    max_credits: int


@dataclass(frozen=True)
class Preview:
    """What a click on Enrich would do now.

    ``worst_case`` and ``shortfall`` are credits; ``blocked`` is "" when a click would start, else
    nothing_missing, suppressed, no_provider, asked_recently, frozen, insufficient_credits or over_budget.
    """

    missing: list[Channel]
    channels: dict[str, ChannelPlan]
    worst_case: int = 0
    blocked: str = ""
    shortfall: int = 0
    asked_recently: bool = False


def preview_enrichment(
    *,
    lead: Lead,
    ask_again: bool = False,
    points: list[ContactPoint] | None = None,
    lookups: list[Lookup] | None = None,
    planner: Planner | None = None,
    suppressed: bool | None = None,
) -> Preview:
    """What enriching ``lead`` now would ask and could cost; writes nothing.

    ``points`` are the lead's contact points in every state, ``lookups`` what providers said of it,
    ``planner`` its workspace's and ``suppressed`` whether it is, where the caller has them already.
    """
    missing = lead.missing_list
    if not missing:
        return Preview([], {}, blocked="nothing_missing")
    planner = planner or Planner.of(lead.workspace)
    orders = planner.plan([lead], ask_again=ask_again, points=points, lookups=lookups)[lead.pk]
    prices = _prices(lead, orders)
    channels = {
        channel: ChannelPlan(steps, max(prices.get(channel, {}).values(), default=0))
        for channel, steps in orders.items()
    }
    worst_case = billing.worst_case(prices)
    asked_recently = any(step.skip_code == RECENT_MISS for steps in orders.values() for step in steps)
    if bool(lead_services.is_suppressed([lead])) if suppressed is None else suppressed:
        return Preview(missing, channels, worst_case, "suppressed")
    if not prices:
        blocked = "asked_recently" if asked_recently else "no_provider"
        return Preview(missing, channels, 0, blocked, asked_recently=asked_recently)
    blocked, shortfall = _funds_problem(lead, worst_case)
    return Preview(missing, channels, worst_case, blocked, shortfall, asked_recently)


def start_enrichment(
    *, lead: Lead, user: User | None, idempotency_key: uuid.UUID, quoted: int, ask_again: bool = False
) -> tuple[RunItem, bool]:
    """Start enriching ``lead``, or return what is already under way: (run item, was it created now?).

    ``quoted`` is the most the person was told it can cost, in credits; if it can cost more now,
    PriceChanged asks again. Nothing is written unless the worst case could be reserved. Raises
    NothingToEnrich, LeadSuppressed, NobodyToAsk, PriceChanged, KeyReused, and billing's
    InsufficientCredits, OverBudget and AccountFrozen.
    """
    if (repeated := _started_with(lead, idempotency_key)) is not None:
        return repeated, False
    if (active := active_item(lead)) is not None:
        return active, False

    def start() -> RunItem:
        item = _insert_item(lead, user, idempotency_key, ask_again)
        _admit(item, user, quoted, ask_again)
        return item

    try:
        item = billing.run_in_transaction(start)
    except IntegrityError:
        # Another click was faster by a moment; its run is the answer to this one too.
        winner = _started_with(lead, idempotency_key) or active_item(lead)
        if winner is None:
            raise
        return winner, False
    return item, True


def stop_enrichment(*, item: RunItem, user: User | None) -> None:
    """Stop a run: calls under way finish and are charged, everything else is released. Repeats do nothing."""

    def stop() -> None:
        in_line = list(
            RunItem.objects.select_for_update()
            .filter(run_id=item.run_id, state__in=(RunItem.State.WAITING, RunItem.State.ADMITTED))
            .order_by("pk")
        )
        stopped = Run.objects.filter(pk=item.run_id, state=Run.State.RUNNING).update(
            state=Run.State.CANCELLED, finished_at=timezone.now()
        )
        if not stopped:
            return
        close_unclaimed(in_line, RunItem.State.CANCELLED)
        lead_services.add_lead_events(
            [
                LeadEvent(
                    workspace_id=item.workspace_id,
                    lead_id=item.lead_id,
                    kind="enrichment.stopped",
                    text="Enrichment stopped",
                    actor=user,
                )
            ]
        )

    billing.run_in_transaction(stop)


def close_unclaimed(items: list[RunItem], state: str, failure: str = "") -> None:
    """End locked items nobody works on: their open channels end, their holds are released."""
    if not items:
        return
    now = timezone.now()
    ids = [item.pk for item in items]
    ended = (
        ChannelEnrichment.State.STOPPED
        if state == RunItem.State.CANCELLED
        else ChannelEnrichment.State.FAILED
    )
    ChannelEnrichment.objects.filter(item_id__in=ids, state=ChannelEnrichment.State.PENDING).update(
        state=ended, settled_at=now
    )
    found = set(
        ChannelEnrichment.objects.filter(item_id__in=ids, state=ChannelEnrichment.State.FOUND).values_list(
            "item_id", flat=True
        )
    )
    for item in items:
        item.state, item.failure, item.finished_at = state, failure, now
        item.outcome = RunItem.Outcome.SOME if item.pk in found else RunItem.Outcome.NONE
        item.lease_until, item.owner = None, ""
    RunItem.objects.bulk_update(items, ["state", "failure", "finished_at", "outcome", "lease_until", "owner"])
    finish_runs({item.run_id for item in items})
    billing.close_holds(hold_ids=[item.hold_id for item in items if item.hold_id])


def finish_runs(run_ids: set[int]) -> None:
    """Mark the runs done of which no item is active any more."""
    Run.objects.filter(pk__in=run_ids, state=Run.State.RUNNING).exclude(
        items__state__in=RunItem.ACTIVE
    ).update(state=Run.State.DONE, finished_at=timezone.now())


def active_item(lead: Lead) -> RunItem | None:
    """The item that is enriching ``lead`` now, if any."""
    return RunItem.objects.filter(lead=lead, state__in=RunItem.ACTIVE).first()


def _started_with(lead: Lead, key: uuid.UUID) -> RunItem | None:
    item = (
        RunItem.objects.filter(run__workspace_id=lead.workspace_id, run__idempotency_key=key)
        .select_related("run")
        .first()
    )
    if item is not None and item.lead_id != lead.pk:
        raise KeyReused
    return item


def _insert_item(lead: Lead, user: User | None, key: uuid.UUID, ask_again: bool) -> RunItem:
    run = Run.objects.create(
        workspace_id=lead.workspace_id,
        kind=Run.Kind.SINGLE,
        idempotency_key=key,
        ask_again=ask_again,
        started_by=user,
    )
    return RunItem.objects.create(
        workspace_id=lead.workspace_id,
        run=run,
        lead=lead,
        state=RunItem.State.ADMITTED,
        priority=100 - (-1 if lead.icp_score is None else lead.icp_score),
    )


def _admit(item: RunItem, user: User | None, quoted: int, ask_again: bool) -> None:
    """Plan and reserve. Runs after the item exists, so no other enrichment of the lead is under way."""
    lead = Lead.objects.select_related("workspace").get(pk=item.lead_id)
    if not lead.missing_mask:
        raise NothingToEnrich
    if lead_services.is_suppressed([lead]):
        raise LeadSuppressed
    orders = Planner.of(lead.workspace).plan([lead], ask_again=ask_again)[lead.pk]
    prices = _prices(lead, orders)
    if not prices:
        raise NobodyToAsk
    worst_case = billing.worst_case(prices)
    if worst_case > quoted:
        raise PriceChanged(worst_case)
    ChannelEnrichment.objects.bulk_create(
        [
            ChannelEnrichment(item=item, channel=channel, plan=[step.as_json() for step in steps])
            for channel, steps in orders.items()
        ]
    )
    lead_services.add_lead_events(
        [
            LeadEvent(
                workspace_id=lead.workspace_id,
                lead=lead,
                kind="enrichment.started",
                text="Enrich profile started",
                actor=user,
            )
        ]
    )
    names = {step.slug: step.name for steps in orders.values() for step in steps}
    item.hold = billing.open_hold(
        workspace=lead.workspace,
        request=billing.HoldRequest(
            purpose=f"run-item:{item.pk}",
            prices=prices,
            subject_id=lead.pk,
            subject_label=lead.full_name,
            provider_names=names,
        ),
        actor=user,
    )
    item.save(update_fields=["hold"])
    transaction.on_commit(wake_workers)


def _prices(lead: Lead, orders: Orders) -> dict[str, dict[str, int]]:
    """Today's price of every provider that would be asked; channels nobody is asked for are left out."""
    asked = {
        channel: [step.slug for step in steps if not step.skip]
        for channel, steps in orders.items()
        if any(not step.skip for step in steps)
    }
    return billing.prices_for(workspace=lead.workspace, channels=asked) if asked else {}


def _funds_problem(lead: Lead, worst_case: int) -> tuple[str, int]:
    """What stands between the account and this worst case, and by how many credits."""
    refusal = billing.room_for_holds(workspace=lead.workspace).refusal(worst_case)
    if isinstance(refusal, AccountFrozen):
        return "frozen", 0
    if isinstance(refusal, InsufficientCredits):
        return "insufficient_credits", refusal.shortfall
    if isinstance(refusal, OverBudget):
        return "over_budget", refusal.shortfall
    return "", 0
