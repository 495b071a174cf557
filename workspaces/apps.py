"""Registers the workspaces app."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    """Workspaces, the people in them and what each may do."""

    name = "workspaces"
