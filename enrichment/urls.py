"""The URLs of the enrichment app."""

from django.urls import path

from enrichment.views import lead, providers, waterfalls

app_name = "enrichment"

urlpatterns = [
    path("leads/<int:lead_id>/enrichment/", lead.lead_enrichment, name="lead_enrichment"),
    path("leads/<int:lead_id>/enrich/", lead.start_enrichment, name="start_enrichment"),
    path("leads/<int:lead_id>/enrich/stop/", lead.stop_enrichment, name="stop_enrichment"),
    path("leads/<int:lead_id>/history/", lead.lead_history, name="lead_history"),
    path("waterfalls/", waterfalls.waterfall, name="waterfall"),
    path("waterfalls/<str:channel>/", waterfalls.waterfall, name="waterfall"),
    path(
        "waterfalls/<str:channel>/versions/<int:number>/roll-back/",
        waterfalls.roll_back_waterfall,
        name="roll_back_waterfall",
    ),
    path("providers/", providers.provider_list, name="provider_list"),
    path("providers/connect/", providers.connect_provider, name="connect_provider"),
    path("providers/<int:provider_id>/", providers.provider_detail, name="provider_detail"),
    path("providers/<int:provider_id>/key/", providers.replace_key, name="replace_key"),
    path("providers/<int:provider_id>/test/", providers.test_provider, name="test_provider"),
    path("providers/<int:provider_id>/switch/", providers.switch_provider, name="switch_provider"),
]
