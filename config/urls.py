"""The root of every URL."""

from django.urls import include, path
from django.views.generic import RedirectView

from config import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="leads:lead_list"), name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("", include("workspaces.urls")),
    path("leads/", include("leads.urls")),
    path("", include("audiences.urls")),
    path("billing/", include("billing.urls")),
    path("", include("enrichment.urls")),
]
