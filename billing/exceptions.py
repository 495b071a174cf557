"""What can be refused about credits, in words for a person."""

from core.exceptions import DomainError


def _credits(number: int) -> str:
    return f"{number:,} credit" if number == 1 else f"{number:,} credits"


class InsufficientCredits(DomainError):
    """The account does not have what is asked for; ``shortfall`` credits are missing."""

    def __init__(self, shortfall: int) -> None:
        super().__init__(f"{_credits(shortfall)} short. Ask an admin to add credits.")
        self.shortfall = shortfall


class OverBudget(DomainError):
    """The month's budget does not have room for what is asked; it is ``shortfall`` credits over."""

    def __init__(self, shortfall: int) -> None:
        super().__init__(f"{_credits(shortfall)} over this month's budget. An admin can raise it.")
        self.shortfall = shortfall


class AccountFrozen(DomainError):
    """The ledger check found a fault, so nothing new is reserved."""

    default_message = "New spending is stopped until an admin has looked at the ledger."


class KeyConflict(DomainError):
    """The same idempotency key came with other inputs."""

    default_message = "This was already done with other values. Reload the page and try again."


class HoldClosed(DomainError):
    """A hold that is closed pays for nothing new."""

    default_message = "The credits set aside for this were already given back."


class UnknownPrice(DomainError):
    """The hold froze no price for that channel and provider, or there is no such hold."""

    default_message = "No price was agreed for this."


class LedgerFault(RuntimeError):
    """The books do not agree with themselves: what a move takes from is not there. Nothing was written."""
