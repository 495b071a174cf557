"""Signing in and out, and switching workspaces."""
