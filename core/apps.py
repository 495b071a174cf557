"""Registers the core app: no models, the parts every other app stands on."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Core."""

    name = "core"
