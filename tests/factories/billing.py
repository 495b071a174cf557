"""Accounts with credits, and holds, made the way the product makes them."""

import factory
from factory.django import DjangoModelFactory

from billing.models import CreditAccount, Hold
from billing.services import Capture as CaptureOf
from billing.services import HoldRequest, capture_holds, close_holds, grant_credits, open_account, open_hold
from core.channels import Channel
from tests.factories.workspaces import WorkspaceFactory


class CreditAccountFactory(DjangoModelFactory):
    """A workspace's account with 1,000 granted credits, or ``credits=``; the trait ``empty`` has none."""

    class Meta:
        model = CreditAccount

    class Params:
        empty = factory.Trait(credits=0)

    workspace = factory.SubFactory(WorkspaceFactory)
    credits = 1_000
    key = factory.Sequence(lambda n: f"factory-{n}")

    @classmethod
    def _create(cls, model_class, workspace, credits, key):
        open_account(workspace)
        if credits:
            grant_credits(workspace=workspace, amount=credits, actor=None, key=key)
        return model_class.objects.get(workspace=workspace)


PRICES = {
    Channel.WORK_EMAIL.value: {"hunter": 4, "prospeo": 5},
    Channel.PHONE.value: {"prospeo": 18, "people_data_labs": 20},
}


class HoldFactory(DjangoModelFactory):
    """An open hold of PRICES (25 credits), or ``prices=``, in an account that can pay for it.

    ``captured={"phone": "prospeo"}`` charges those channels; the trait ``closed`` gives the rest back.
    """

    class Meta:
        model = Hold

    class Params:
        closed = factory.Trait(close=True)

    account = factory.SubFactory(CreditAccountFactory, workspace=factory.SelfAttribute("..workspace"))
    workspace = factory.SubFactory(WorkspaceFactory)
    purpose = factory.Sequence(lambda n: f"factory:{n}")
    prices = factory.LazyFunction(lambda: {channel: dict(by) for channel, by in PRICES.items()})
    provider_names = factory.LazyFunction(
        lambda: {"hunter": "Hunter", "prospeo": "Prospeo", "people_data_labs": "People Data Labs"}
    )
    subject_id = None
    subject_label = "Ines Moreau"
    actor = None
    captured = factory.LazyFunction(dict)
    close = False

    @classmethod
    def _create(cls, model_class, workspace, account, actor, captured, close, **request):
        hold = open_hold(workspace=workspace, request=HoldRequest(**request), actor=actor)
        capture_holds(
            captures=[CaptureOf(hold.pk, channel, provider) for channel, provider in captured.items()]
        )
        if close:
            close_holds(hold_ids=[hold.pk])
        return model_class.objects.get(pk=hold.pk)
