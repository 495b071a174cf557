"""Template tags for the components of the interface."""

from django import template

register = template.Library()
