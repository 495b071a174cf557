"""The monthly budget and its periods, which come into being when first needed."""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Max, Min, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from billing.calendar import month_bounds
from billing.models import Budget, BudgetPeriod
from workspaces.models import User, Workspace
from workspaces.services import record_audit

# The first half of the advisory lock's key: "budget periods of a workspace".
PERIODS_LOCK = 0x42504552


def current_period(*, workspace: Workspace, now: datetime | None = None) -> BudgetPeriod:
    """The budget period around ``now``, created where it does not exist yet.

    Creation is lazy, so a server that was off at midnight misses nothing, and idempotent: whoever asks
    first, there is one row, and periods of a workspace never overlap. A changed renewal day or time zone
    counts from the next period on.
    """
    now = now or timezone.now()
    return find_period(workspace_id=workspace.pk, now=now) or _create_period(workspace, now)


def find_period(*, workspace_id: int, now: datetime) -> BudgetPeriod | None:
    """The period around ``now``, if it was created already."""
    return BudgetPeriod.objects.filter(workspace_id=workspace_id, starts_at__lte=now, ends_at__gt=now).first()


def period_now(*, workspace: Workspace, budget: Budget, now: datetime | None = None) -> BudgetPeriod:
    """The period around ``now`` to look at: an unsaved one where nothing was reserved in it yet. Writes nothing."""
    now = now or timezone.now()
    return find_period(workspace_id=workspace.pk, now=now) or _new_period(workspace, budget, now)


def next_bounds(workspace: Workspace, budget: Budget, now: datetime) -> tuple[datetime, datetime]:
    """Start and end of the period around ``now`` that would be created; it never reaches into another one."""
    starts_at, ends_at = month_bounds(now=now, timezone=workspace.timezone, renewal_day=budget.renewal_day)
    neighbours = BudgetPeriod.objects.filter(workspace=workspace).aggregate(
        before=Max("ends_at", filter=Q(ends_at__gt=starts_at, ends_at__lte=now)),
        after=Min("starts_at", filter=Q(starts_at__lt=ends_at, starts_at__gt=now)),
    )
    return neighbours["before"] or starts_at, neighbours["after"] or ends_at


def budget_of(workspace: Workspace) -> Budget:
    """The workspace's budget; an unsaved one without a limit where none was set."""
    return Budget.objects.filter(workspace=workspace).first() or Budget(workspace=workspace)


@transaction.atomic
def set_budget(
    *,
    workspace: Workspace,
    monthly_limit: int | None,
    actor: User | None,
    renewal_day: int | None = None,
    alert_percent: int | None = None,
) -> Budget:
    """Set the most a month may cost (None: no limit), from the current period on.

    Lowering it below what is already reserved and spent stops new work and nothing else.
    """
    if monthly_limit is not None and monthly_limit < 0:
        raise ValueError("a budget is not negative")
    _lock_periods(workspace.pk)
    budget = budget_of(workspace)
    before = budget.monthly_limit
    budget.monthly_limit = monthly_limit
    budget.renewal_day = renewal_day or budget.renewal_day
    budget.alert_percent = alert_percent or budget.alert_percent
    budget.save()
    hard_limit = None if monthly_limit is None else Greatest(monthly_limit, F("reserved") + F("spent"))
    BudgetPeriod.objects.filter(workspace=workspace, ends_at__gt=timezone.now()).update(
        monthly_limit=monthly_limit, hard_limit=hard_limit
    )
    record_audit(
        workspace=workspace,
        actor=actor,
        action="budget.changed",
        before=before,
        after=monthly_limit,
        renewal_day=budget.renewal_day,
        alert_percent=budget.alert_percent,
    )
    return budget


@transaction.atomic
def _create_period(workspace: Workspace, now: datetime) -> BudgetPeriod:
    _lock_periods(workspace.pk)
    # Somebody may have created it while we waited for the lock.
    if period := find_period(workspace_id=workspace.pk, now=now):
        return period
    period = _new_period(workspace, budget_of(workspace), now)
    period.save(force_insert=True)
    return period


def _new_period(workspace: Workspace, budget: Budget, now: datetime) -> BudgetPeriod:
    starts_at, ends_at = next_bounds(workspace, budget, now)
    return BudgetPeriod(
        workspace=workspace,
        starts_at=starts_at,
        ends_at=ends_at,
        monthly_limit=budget.monthly_limit,
        hard_limit=budget.monthly_limit,
    )


def _lock_periods(workspace_id: int) -> None:
    """One at a time creates periods or changes limits of a workspace; held to the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s::int)", [PERIODS_LOCK, workspace_id % (1 << 31)])
