"""The project: settings, root URLs, health; the only package that knows every app."""
