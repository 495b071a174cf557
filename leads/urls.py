"""The URLs of the leads app."""

from django.urls import path

from leads import import_views, views

app_name = "leads"

urlpatterns = [
    path("", views.lead_list, name="lead_list"),
    path("import/", import_views.lead_import, name="lead_import"),
    path("import/<int:import_id>/", import_views.lead_import_detail, name="lead_import_detail"),
    path("import/<int:import_id>/refused.csv", import_views.lead_import_refused, name="lead_import_refused"),
    path("<int:lead_id>/", views.lead_panel, name="lead_panel"),
    path("<int:lead_id>/row/", views.lead_row, name="lead_row"),
    path("<int:lead_id>/head/", views.lead_head, name="lead_head"),
]
