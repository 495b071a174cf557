"""Registers the billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Credits: account, ledger, holds, rates, budget."""

    name = "billing"
