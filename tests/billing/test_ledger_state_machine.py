"""Any sequence of services leaves the books as a simple model says, and in agreement with themselves."""

import os

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from billing.exceptions import HoldClosed, InsufficientCredits, KeyConflict, OverBudget
from billing.models import BudgetPeriod, CreditAccount, Hold
from billing.services import (
    Capture,
    HoldRequest,
    adjust_credits,
    capture_holds,
    close_holds,
    expire_credits,
    find_ledger_faults,
    grant_credits,
    open_account,
    open_hold,
    open_holds,
    refund_capture,
    set_budget,
    worst_case,
)
from tests.factories import WorkspaceFactory

amounts = st.integers(1, 60)
channels = st.sampled_from(["work_email", "personal_email", "phone", "linkedin_url"])
providers = st.sampled_from(["hunter", "prospeo"])
prices = st.dictionaries(
    channels, st.dictionaries(providers, st.integers(0, 20), min_size=1), min_size=1, max_size=3
)


class Ledger(RuleBasedStateMachine):
    """The services on one side, a dozen Python numbers on the other."""

    holds = Bundle("holds")
    charges = Bundle("charges")
    keys = Bundle("keys")

    def __init__(self):
        super().__init__()
        # Each example sees only its own rows and leaves none.
        self.example = transaction.atomic()
        self.example.__enter__()
        self.workspace = WorkspaceFactory()
        open_account(self.workspace)
        self.available = self.spent = self.expired = self.issued = 0
        self.limit = None
        self.open = {}  # hold id -> what is left of it
        self.prices = {}  # hold id -> prices
        self.captured = {}  # (hold id, channel) -> provider
        self.refunded = {}  # entry id -> key
        self.purposes = {}  # purpose -> (hold id, prices)
        self.serial = 0

    def teardown(self):
        rows = Hold.objects.filter(workspace=self.workspace, state="open")
        assert {hold.pk: hold.remaining for hold in rows} == self.open
        transaction.set_rollback(True)
        self.example.__exit__(None, None, None)

    def key(self):
        self.serial += 1
        return f"k{self.serial}"

    @property
    def held(self):
        return sum(self.open.values())

    @property
    def room(self):
        left = self.available
        if self.limit is not None:
            left = min(left, max(0, self.limit - self.held - self.spent))
        return left

    @initialize(amount=st.integers(20, 200))
    def start(self, amount):
        grant_credits(workspace=self.workspace, amount=amount, actor=None, key="start")
        self.available += amount
        self.issued += amount

    @rule(amount=amounts, target=keys)
    def grant(self, amount):
        key = self.key()
        grant_credits(workspace=self.workspace, amount=amount, actor=None, key=key)
        self.available += amount
        self.issued += amount
        return key, amount

    @rule(known=keys, more=st.integers(0, 1))
    def grant_again(self, known, more):
        key, amount = known
        try:
            grant_credits(workspace=self.workspace, amount=amount + more, actor=None, key=key)
            assert not more
        except KeyConflict:
            assert more

    @rule(amount=amounts, sign=st.sampled_from([1, -1]))
    def adjust(self, amount, sign):
        try:
            adjust_credits(workspace=self.workspace, amount=sign * amount, actor=None, key=self.key())
        except InsufficientCredits as refused:
            assert refused.shortfall == amount - self.available > 0
            return
        self.available += sign * amount
        self.issued += sign * amount
        assert self.available >= 0

    @rule(amount=amounts)
    def expire(self, amount):
        try:
            expire_credits(workspace=self.workspace, amount=amount, key=self.key())
        except InsufficientCredits:
            assert amount > self.available
            return
        self.available -= amount
        self.expired += amount
        assert self.available >= 0

    @rule(limit=st.none() | st.integers(0, 150))
    def budget(self, limit):
        set_budget(workspace=self.workspace, monthly_limit=limit, actor=None)
        self.limit = limit

    def opened(self, hold, request):
        self.open[hold.pk] = hold.reserved
        self.available -= hold.reserved
        self.prices[hold.pk] = request.prices
        self.purposes[request.purpose] = (hold.pk, request.prices)

    @rule(asked=prices, target=holds)
    def reserve(self, asked):
        request = HoldRequest(self.key(), asked)
        cost = worst_case(asked)
        try:
            hold = open_hold(workspace=self.workspace, request=request, actor=None)
        except InsufficientCredits as refused:
            assert refused.shortfall == cost - self.available > 0
            return multiple()
        except OverBudget as refused:
            assert refused.shortfall == cost - self.room > 0
            return multiple()
        assert cost <= self.room
        assert hold.reserved == cost
        self.opened(hold, request)
        return hold.pk

    @rule(batch=st.lists(prices, min_size=1, max_size=5), target=holds)
    def reserve_batch(self, batch):
        requests = [HoldRequest(self.key(), asked) for asked in batch]
        expected = total = 0
        for request in requests:
            total += request.reserve
            if total > self.room:
                break
            expected += 1
        opened = open_holds(workspace=self.workspace, requests=requests, actor=None)
        assert [hold.purpose for hold in opened] == [request.purpose for request in requests[:expected]]
        for hold, request in zip(opened, requests, strict=False):
            self.opened(hold, request)
        return multiple(*[hold.pk for hold in opened])

    @rule(hold=holds, change=st.booleans())
    def reserve_again(self, hold, change):
        purpose = next(purpose for purpose, (pk, _) in self.purposes.items() if pk == hold)
        asked = {"phone": {"somebody else": 1}} if change else self.prices[hold]
        try:
            again = open_hold(workspace=self.workspace, request=HoldRequest(purpose, asked), actor=None)
            assert again.pk == hold and not change
        except KeyConflict:
            assert change

    @rule(hold=holds, data=st.data(), target=charges)
    def capture(self, hold, data):
        channel = data.draw(st.sampled_from(sorted(self.prices[hold])))
        provider = data.draw(st.sampled_from(sorted(self.prices[hold][channel])))
        price = self.prices[hold][channel][provider]
        before = self.captured.get((hold, channel))
        try:
            charges = capture_holds(captures=[Capture(hold, channel, provider)])
        except KeyConflict:
            assert before not in (None, provider)
            return multiple()
        except HoldClosed:
            assert hold not in self.open and before is None
            return multiple()
        entry = charges[hold, channel]
        if not price:
            assert entry is None
            return multiple()
        assert (entry.amount, entry.provider) == (price, provider)
        if before is None:
            self.captured[hold, channel] = provider
            self.open[hold] -= price
            self.spent += price
        assert before in (None, provider)
        return entry

    @rule(chosen=st.lists(holds, min_size=1, max_size=3))
    def close(self, chosen):
        rest = sum(self.open.pop(hold, 0) for hold in set(chosen))
        assert close_holds(hold_ids=chosen) == rest
        self.available += rest

    @rule(hold=consumes(holds))
    def close_for_good(self, hold):
        self.close([hold])

    @rule(entry=charges, fresh=st.booleans())
    def refund(self, entry, fresh):
        key = self.key() if fresh else self.refunded.get(entry.pk, self.key())
        before = self.refunded.get(entry.pk)
        try:
            refund_capture(entry=entry, key=key, reason="Bounced")
        except KeyConflict:
            assert before is not None and before != key
            return
        if before is None:
            self.refunded[entry.pk] = key
            self.available += entry.amount
            self.spent -= entry.amount

    @invariant()
    def the_books_are_what_the_model_says_and_agree_with_themselves(self):
        accounts = CreditAccount.objects.filter(workspace=self.workspace)
        assert accounts.values_list("available", "held", "spent", "expired", "issued").get() == (
            self.available,
            self.held,
            self.spent,
            self.expired,
            self.issued,
        )
        assert find_ledger_faults(self.workspace) == []

    @invariant()
    def the_month_is_limited_by_its_budget_or_by_what_is_used(self):
        period = BudgetPeriod.objects.filter(workspace=self.workspace).first()
        if period is None:
            return
        assert (period.reserved, period.spent) == (self.held, self.spent)
        used = self.held + self.spent
        assert period.hard_limit == (None if self.limit is None else max(self.limit, used))


@pytest.mark.django_db
def test_any_sequence_of_services_keeps_the_books():
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            # 200 keep a quiet core busy for about 40 seconds; LEDGER_EXAMPLES asks for more than the suite does.
            max_examples=int(os.environ.get("LEDGER_EXAMPLES", "100")),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
