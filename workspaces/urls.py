"""The URLs of the workspaces app."""

from django.urls import path

from workspaces import views

app_name = "workspaces"

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("welcome/<str:uid>/<str:token>/", views.choose_password, name="choose_password"),
    path("password/", views.password_change, name="password_change"),
    path("theme/", views.set_theme, name="set_theme"),
    path("workspaces/switch/", views.switch_workspace, name="switch_workspace"),
    path("members/", views.member_list, name="member_list"),
    path("members/add/", views.member_add, name="member_add"),
    path("members/<int:member_id>/role/", views.member_role, name="member_role"),
    path("members/<int:member_id>/link/", views.member_link, name="member_link"),
    path("members/<int:member_id>/remove/", views.member_remove, name="member_remove"),
    path("audit/", views.audit_log, name="audit_log"),
]
