"""What the ledger's tests share."""

import pytest

from billing.models import CreditAccount
from billing.services import HoldRequest, find_ledger_faults, grant_credits, open_account


@pytest.fixture
def books():
    """``books(workspace)``: (available, held, spent) after proving that every row agrees with every other."""

    def _books(workspace):
        assert find_ledger_faults(workspace) == []
        account = CreditAccount.objects.get(workspace=workspace)
        return account.available, account.held, account.spent

    return _books


@pytest.fixture
def account(workspace):
    """The workspace's account with 100 credits."""
    open_account(workspace)
    grant_credits(workspace=workspace, amount=100, actor=None, key="start")
    return CreditAccount.objects.get(workspace=workspace)


def request_for(purpose, **prices):
    """``request_for("a", phone=18)``: a hold request with one provider, "hunter", per channel."""
    return HoldRequest(
        purpose=purpose, prices={channel: {"hunter": price} for channel, price in prices.items()}
    )
