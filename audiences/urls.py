"""The URLs of the audiences app: its own pages, and what it adds to a lead's."""

from django.urls import path

from audiences import import_views, views

app_name = "audiences"

urlpatterns = [
    path("audiences/", views.audience_list, name="audience_list"),
    path("audiences/new/", views.audience_create, name="audience_create"),
    path("audiences/default/", views.default_channels, name="default_channels"),
    path("audiences/default/preview/", views.default_preview, name="default_preview"),
    path("audiences/<int:audience_id>/", views.audience_detail, name="audience_detail"),
    path("audiences/<int:audience_id>/rename/", views.audience_rename, name="audience_rename"),
    path("audiences/<int:audience_id>/channels/", views.audience_channels, name="audience_channels"),
    path("audiences/<int:audience_id>/channels/preview/", views.channels_preview, name="channels_preview"),
    path("audiences/<int:audience_id>/delete/", views.audience_delete, name="audience_delete"),
    path("audiences/<int:audience_id>/leads/", views.audience_leads, name="audience_leads"),
    path("audiences/<int:audience_id>/leads/paste/", views.audience_paste, name="audience_paste"),
    path(
        "audiences/<int:audience_id>/leads/remove/", views.audience_remove_leads, name="audience_remove_leads"
    ),
    path("leads/import/<int:import_id>/audience/", import_views.add_import, name="add_import"),
    path("leads/<int:lead_id>/audiences/", views.lead_audiences, name="lead_audiences"),
    path("leads/<int:lead_id>/audiences/join/", views.lead_join, name="lead_join"),
    path("leads/<int:lead_id>/audiences/<int:audience_id>/leave/", views.lead_leave, name="lead_leave"),
]
