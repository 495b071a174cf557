"""How many credits new work may still reserve, and what stands in the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Subquery
from django.utils import timezone

from billing.exceptions import AccountFrozen, InsufficientCredits, OverBudget
from billing.models import Budget, BudgetPeriod, CreditAccount
from billing.services.budgets import budget_of
from core.exceptions import DomainError
from workspaces.models import Workspace


@dataclass(frozen=True, slots=True)
class Room:
    """``available`` credits in the account, ``budget_left`` in the month (None: no limit), ``frozen`` or not."""

    available: int
    budget_left: int | None
    frozen: bool = False

    @property
    def credits(self) -> int:
        """The most that can be reserved now."""
        if self.frozen:
            return 0
        return self.available if self.budget_left is None else min(self.available, self.budget_left)

    def fits(self, amounts: Iterable[int | None]) -> int:
        """How many of ``amounts``, strictly from the first on, fit together; None is reserved already."""
        total = count = 0
        for amount in amounts:
            total += amount or 0
            if amount is not None and (self.frozen or total > self.credits):
                break
            count += 1
        return count

    def refusal(self, amount: int) -> DomainError | None:
        """Why ``amount`` cannot be reserved; None if it can."""
        if self.frozen:
            return AccountFrozen()
        if amount > self.available:
            return InsufficientCredits(amount - self.available)
        if self.budget_left is not None and amount > self.budget_left:
            return OverBudget(amount - self.budget_left)
        return None


def room_for_holds(*, workspace: Workspace, now: datetime | None = None) -> Room:
    """What new work may reserve at this moment. Reads only: a period that is due is not created."""
    now = now or timezone.now()
    periods = BudgetPeriod.objects.filter(
        workspace_id=OuterRef("workspace_id"), starts_at__lte=now, ends_at__gt=now
    )
    accounts = CreditAccount.objects.filter(workspace=workspace).annotate(
        has_period=Exists(periods),
        budget_limit=Subquery(
            Budget.objects.filter(workspace_id=OuterRef("workspace_id")).values("monthly_limit")[:1]
        ),
        period_limit=Subquery(periods.values("hard_limit")[:1]),
        period_used=Subquery(periods.values(used=F("reserved") + F("spent"))[:1]),
    )
    account = accounts.first()
    if account is None:
        return room_of(CreditAccount(), BudgetPeriod(hard_limit=budget_of(workspace).monthly_limit))
    if not account.has_period:
        return room_of(account, BudgetPeriod(hard_limit=account.budget_limit))
    return room_of(account, BudgetPeriod(hard_limit=account.period_limit, reserved=account.period_used))


def room_of(account: CreditAccount, period: BudgetPeriod) -> Room:
    """The room that these two rows leave."""
    left = None if period.hard_limit is None else period.hard_limit - period.reserved - period.spent
    return Room(account.available, left, bool(account.frozen_reason))
