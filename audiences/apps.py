"""Registers the audiences app."""

from django.apps import AppConfig


class AudiencesConfig(AppConfig):
    """Sets of leads and the channels they require."""

    name = "audiences"
