"""The root of every URL."""

from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="leads:lead_list"), name="home"),
    path("", include("workspaces.urls")),
    path("leads/", include("leads.urls")),
    path("audiences/", include("audiences.urls")),
    path("billing/", include("billing.urls")),
    path("", include("enrichment.urls")),
]
