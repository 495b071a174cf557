"""The management commands of core."""
