"""Secrets are ciphertext at rest, read with any configured key, and never in the way of a page."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from core.encryption import decrypt, encrypt
from enrichment.models import Provider
from leads.services import suppress, suppressed_values
from tests.factories import LeadFactory, WorkspaceFactory

KEY = "demo-hunter-very-secret-0001"


def a_provider(workspace):
    return Provider.objects.create(
        workspace=workspace, vendor="hunter", slug="hunter", name="Hunter", credentials={"api_key": KEY}
    )


@pytest.mark.django_db
def test_a_key_is_ciphertext_in_the_database_and_plain_when_looked_into():
    provider = a_provider(WorkspaceFactory())
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM enrichment_provider")
        (stored,) = cursor.fetchone()
    assert KEY not in stored
    provider = Provider.objects.get()
    assert provider.credentials["api_key"] == KEY
    provider.save()
    assert Provider.objects.get().credentials.get("api_key") == KEY


def test_a_new_key_in_front_reads_what_the_old_one_wrote(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    token = encrypt({"a": 1})
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert decrypt(token) == {"a": 1}
    settings.FIELD_ENCRYPTION_KEYS = [new]
    with pytest.raises(ImproperlyConfigured):
        decrypt(token)


@pytest.mark.django_db
def test_pages_open_when_the_key_to_the_secrets_is_lost(client_for, workspace, settings):
    provider = a_provider(workspace)
    lead = LeadFactory(workspace=workspace)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    admin = client_for("admin")
    for url in (
        reverse("leads:lead_panel", args=[lead.pk]),
        reverse("enrichment:provider_list"),
        reverse("enrichment:provider_detail", args=[provider.pk]),
    ):
        assert admin.get(url).status_code == 200


@pytest.mark.django_db
def test_after_rotate_keys_the_old_key_can_be_dropped(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    workspace = WorkspaceFactory()
    a_provider(workspace)
    suppress(workspace=workspace, email="jon@acme.example", actor=None)
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_keys", stdout=StringIO())
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert Provider.objects.get().credentials["api_key"] == KEY
    value = ("work_email", "jon@acme.example")
    assert suppressed_values(workspace_id=workspace.pk, values=[value]) == {value}
