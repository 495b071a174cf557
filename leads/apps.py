"""Registers the leads app."""

from django.apps import AppConfig


class LeadsConfig(AppConfig):
    """People, their contact points, the list and the panel."""

    name = "leads"
