"""The URLs of the enrichment app."""

from django.urls import URLPattern

app_name = "enrichment"

urlpatterns: list[URLPattern] = []
