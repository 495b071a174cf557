"""The URLs of the leads app."""

from django.urls import path

from leads import views

app_name = "leads"

urlpatterns = [
    path("", views.lead_list, name="lead_list"),
    path("<int:lead_id>/", views.lead_panel, name="lead_panel"),
    path("<int:lead_id>/row/", views.lead_row, name="lead_row"),
    path("<int:lead_id>/head/", views.lead_head, name="lead_head"),
]
