"""Registers the enrichment app."""

from django.apps import AppConfig


class EnrichmentConfig(AppConfig):
    """Providers, waterfalls, runs and the engine."""

    name = "enrichment"
