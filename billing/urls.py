"""The URLs of the billing app."""

from django.urls import path

from billing import views

app_name = "billing"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("ledger/", views.ledger, name="ledger"),
    path("ledger.csv", views.ledger_csv, name="ledger_csv"),
    path("grant/", views.grant, name="grant"),
    path("budget/", views.edit_budget, name="edit_budget"),
    path("rates/<str:channel>/", views.edit_rate, name="edit_rate"),
    path("unfreeze/", views.unfreeze, name="unfreeze"),
    path("card/", views.balance_card, name="balance_card"),
]
