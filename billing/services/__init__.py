"""Everything that moves credits, and every number about them.

All of it may be called inside the caller's transaction and is correct at READ COMMITTED. Locks are taken
in one order everywhere: hold rows by id, then the budget period, then the account, last and for the
shortest time. See docs/decisions/0002-ledger-lock-order.md.
"""

from billing.services.accounts import (
    MAX_AMOUNT,
    adjust_credits,
    expire_credits,
    freeze_account,
    grant_credits,
    open_account,
    unfreeze_account,
)
from billing.services.budgets import budget_of, current_period, period_now, set_budget
from billing.services.faults import Fault, find_ledger_faults
from billing.services.holds import (
    Capture,
    HoldRequest,
    capture_holds,
    close_holds,
    open_hold,
    open_holds,
    refund_capture,
)
from billing.services.rates import DEFAULT_RATES, Prices, prices_for, set_rate, set_rates, worst_case
from billing.services.room import Room, room_for_holds
from billing.services.transactions import run_in_transaction

__all__ = [
    "DEFAULT_RATES",
    "MAX_AMOUNT",
    "Capture",
    "Fault",
    "HoldRequest",
    "Prices",
    "Room",
    "adjust_credits",
    "budget_of",
    "capture_holds",
    "close_holds",
    "current_period",
    "expire_credits",
    "find_ledger_faults",
    "freeze_account",
    "grant_credits",
    "open_account",
    "open_hold",
    "open_holds",
    "period_now",
    "prices_for",
    "refund_capture",
    "room_for_holds",
    "run_in_transaction",
    "set_budget",
    "set_rate",
    "set_rates",
    "unfreeze_account",
    "worst_case",
]
