"""Connecting, testing and switching providers, against the sandbox that speaks the vendors' APIs."""

import logging

import pytest
from django.db import connection
from django.urls import reverse

from enrichment.models import Provider, VendorCall
from enrichment.services import providers as services
from enrichment.services.waterfalls import current_steps, ensure_waterfalls
from tests.factories.enrichment import KEY, LookupFactory, ProviderFactory, RunItemFactory, VendorCallFactory

pytestmark = pytest.mark.django_db

LIST = "/providers/"
CONNECT = "/providers/connect/"


@pytest.fixture(scope="module")
def sandbox():
    from enrichment.sandbox import running_sandbox

    with running_sandbox() as running:
        yield running


def url(name, provider):
    return reverse(f"enrichment:{name}", args=[provider.pk])


def connect_data(base_url, **changes):
    return {
        "vendor": "hunter",
        "api_key": "demo-hunter-0001",
        "name": "Hunter",
        "base_url": base_url,
        "timeout_seconds": "10",
        "recheck_days": "30",
        **changes,
    }


@pytest.mark.parametrize("role", ["viewer", "rep"])
def test_only_admins_see_providers(client_for, workspace, role):
    provider = ProviderFactory(workspace=workspace)
    client = client_for(role)
    for path in (LIST, CONNECT, url("provider_detail", provider)):
        assert client.get(path).status_code == 403
    for name in ("replace_key", "test_provider", "switch_provider", "provider_detail"):
        assert client.post(url(name, provider)).status_code == 403
    assert Provider.objects.get().enabled


def test_another_workspaces_provider_is_not_found(client_for, other_workspace):
    foreign = ProviderFactory(workspace=other_workspace)
    client = client_for("admin")
    assert client.get(url("provider_detail", foreign)).status_code == 404
    for name in ("replace_key", "test_provider", "switch_provider", "provider_detail"):
        assert client.post(url(name, foreign)).status_code == 404


def test_an_empty_list_offers_to_connect(client_for):
    page = client_for("admin").get(LIST).content.decode()
    assert "No providers yet" in page
    assert CONNECT in page


def test_every_vendor_with_an_adapter_is_offered(client_for):
    page = client_for("admin").get(CONNECT).content.decode()
    for name in ("Hunter", "Apollo", "People Data Labs", "Prospeo"):
        assert f"Connect {name}" in page


def test_an_unknown_vendor_goes_back_to_the_choice(client_for):
    for response in (
        client_for("admin").get(CONNECT, {"vendor": "../etc"}),
        client_for("admin").post(CONNECT, {"vendor": "nobody", "api_key": "x"}),
    ):
        assert response.status_code == 200
        assert "Which vendor" in response.content.decode()
    assert not Provider.objects.exists()


def test_a_passed_test_connects_and_puts_it_in_its_waterfalls(client_for, workspace, sandbox):
    response = client_for("admin").post(CONNECT, connect_data(sandbox.base_url("hunter")), follow=True)
    provider = Provider.objects.get()
    assert "Hunter is connected." in response.content.decode()
    assert provider.enabled and provider.last_test_ok
    waterfalls = ensure_waterfalls(workspace)
    assert [step.slug for step in current_steps(waterfalls["work_email"])] == ["hunter"]
    assert workspace.audit_events.filter(action="provider.connected").count() == 1


def test_a_rejected_key_is_not_saved_and_not_shown_again(client_for, sandbox):
    data = connect_data(sandbox.base_url("hunter"), api_key="wrong-key-7777-8888")
    response = client_for("admin").post(CONNECT, data)
    page = response.content.decode()
    assert response.status_code == 422
    assert "The test failed." in page and "Key rejected" in page
    assert "wrong-key" not in page
    assert not Provider.objects.exists()


def test_with_script_a_failed_test_only_swaps_the_result_line(client_for, sandbox):
    data = connect_data(sandbox.base_url("hunter"), api_key="wrong-key-7777-8888")
    response = client_for("admin", htmx=True).post(CONNECT, data)
    # The form selects a whole page of what comes back; without the header it would select nothing of this.
    assert response["HX-Retarget"] == response["HX-Reselect"] == "#test-result"
    assert "<form" not in response.content.decode()


def test_saved_anyway_it_stays_switched_off(client_for, workspace):
    data = connect_data("http://127.0.0.1:9", api_key="not-yet-valid-1234", save_anyway="1")
    page = client_for("admin").post(CONNECT, data, follow=True).content.decode()
    provider = Provider.objects.get()
    assert not provider.enabled and provider.last_test_ok is None
    assert "saved without a test and switched off" in page
    assert [step.slug for step in current_steps(ensure_waterfalls(workspace)["work_email"])] == ["hunter"]


def test_a_second_account_of_a_vendor_gets_its_own_slug(client_for, workspace):
    for _ in range(2):
        client_for("admin").post(CONNECT, connect_data("", save_anyway="1"))
    assert sorted(Provider.objects.values_list("slug", flat=True)) == ["hunter", "hunter-2"]


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://example.com",
        "javascript:alert(1)",
        "http://",
        "not a url",
        "http://exa mple.com",
        "http://[::1",
    ],
)
def test_an_address_that_cannot_be_called_is_refused(client_for, base_url):
    response = client_for("admin").post(CONNECT, connect_data(base_url, save_anyway="1"))
    assert response.status_code == 422
    assert not Provider.objects.exists()


def test_in_production_a_private_address_is_refused(client_for, settings):
    settings.ALLOW_PRIVATE_HOSTS = False
    for base_url in ("http://127.0.0.1:5432", "http://169.254.169.254/latest", "http://2130706433/"):
        response = client_for("admin").post(CONNECT, connect_data(base_url, save_anyway="1"))
        assert response.status_code == 422
    assert not Provider.objects.exists()


@pytest.mark.parametrize("key", ["", "two words here", "ключ-1234567890", "line\nbreak-123456", "x" * 501])
def test_a_key_that_cannot_be_one_is_refused_and_not_echoed(client_for, key):
    response = client_for("admin").post(CONNECT, connect_data("", api_key=key, save_anyway="1"))
    assert response.status_code == 422
    assert not key or key not in response.content.decode()
    assert not Provider.objects.exists()


def test_of_a_key_only_its_last_four_characters_are_ever_shown(client_for, workspace):
    provider = ProviderFactory(workspace=workspace)
    client = client_for("admin")
    for path in (LIST, url("provider_detail", provider)):
        page = client.get(path).content.decode()
        assert KEY not in page and KEY[:-4] not in page
    assert "••••••••3F9A" in page
    assert "15 a second, 500 a minute" in page


def test_a_key_is_ciphertext_in_the_database(workspace):
    ProviderFactory(workspace=workspace)
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM enrichment_provider")
        assert KEY not in cursor.fetchone()[0]


def test_a_passed_test_clears_what_had_blocked_it(client_for, workspace, sandbox):
    provider = ProviderFactory(
        workspace=workspace,
        blocked=True,
        base_url=sandbox.base_url("hunter"),
        credentials={"api_key": "demo-hunter-0001"},
    )
    client = client_for("admin")
    assert "Key rejected" in client.get(url("provider_detail", provider)).content.decode()
    response = client_for("admin", htmx=True).post(url("test_provider", provider))
    assert "The key works." in response.content.decode()
    provider.refresh_from_db()
    assert (provider.blocked_code, provider.last_test_ok) == ("", True)


def test_a_failed_test_is_kept_and_shown(client_for, workspace, sandbox):
    key = "nobodys-key-12345678"
    provider = ProviderFactory(
        workspace=workspace, base_url=sandbox.base_url("hunter"), credentials={"api_key": key}
    )
    page = client_for("admin").post(url("test_provider", provider), follow=True).content.decode()
    provider.refresh_from_db()
    assert provider.last_test_ok is False
    assert "key rejected" in page
    assert key not in page


def test_nobody_at_the_address_is_a_sentence(client_for, workspace):
    provider = ProviderFactory(workspace=workspace, base_url="http://127.0.0.1:9")
    response = client_for("admin", htmx=True).post(url("test_provider", provider))
    assert response.status_code == 200
    assert "provider unreachable" in response.content.decode()


def test_replacing_a_key_needs_a_passed_test(client_for, workspace, sandbox):
    provider = ProviderFactory(workspace=workspace, base_url=sandbox.base_url("hunter"))
    client = client_for("admin")
    response = client.post(url("replace_key", provider), {"api_key": "still-wrong-123456"})
    assert response.status_code == 422
    assert "still-wrong" not in response.content.decode()
    provider.refresh_from_db()
    assert provider.credentials == {"api_key": KEY}
    client.post(url("replace_key", provider), {"api_key": "demo-hunter-0001"})
    provider.refresh_from_db()
    assert provider.credentials == {"api_key": "demo-hunter-0001"}
    event = workspace.audit_events.get(action="provider.key_replaced")
    assert "demo-hunter" not in str(event.details)


def test_settings_are_changed_and_the_key_stays(client_for, workspace):
    provider = ProviderFactory(workspace=workspace)
    data = {"name": "Hunter EU", "base_url": "", "timeout_seconds": "20", "recheck_days": "60"}
    client_for("admin").post(url("provider_detail", provider), data)
    provider.refresh_from_db()
    assert (provider.name, provider.timeout_seconds, provider.recheck_days) == ("Hunter EU", 20, 60)
    assert provider.credentials == {"api_key": KEY}


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"timeout_seconds": "0"}, {"timeout_seconds": "999"}, {"recheck_days": "-1"}]
)
def test_settings_out_of_bounds_are_refused(client_for, workspace, change):
    provider = ProviderFactory(workspace=workspace)
    data = {"name": "Hunter", "base_url": "", "timeout_seconds": "20", "recheck_days": "60", **change}
    assert client_for("admin").post(url("provider_detail", provider), data).status_code == 422
    provider.refresh_from_db()
    assert provider.timeout_seconds == 15


def test_what_is_not_in_the_form_cannot_be_set(client_for, workspace):
    provider = ProviderFactory(workspace=workspace, off=True)
    data = {
        "name": "Hunter",
        "timeout_seconds": "20",
        "recheck_days": "60",
        "enabled": "1",
        "vendor": "apollo",
        "slug": "x",
    }
    client_for("admin").post(url("provider_detail", provider), data)
    provider.refresh_from_db()
    assert (provider.enabled, provider.vendor, provider.slug) == (False, "hunter", "hunter")


def test_switching_off_and_on(client_for, workspace):
    provider = ProviderFactory(workspace=workspace)
    client = client_for("admin")
    client.post(url("switch_provider", provider), {"on": "0"})
    provider.refresh_from_db()
    assert not provider.enabled
    assert "Switched off" in client.get(LIST).content.decode()
    client.post(url("switch_provider", provider), {"on": "1"})
    provider.refresh_from_db()
    assert provider.enabled
    actions = list(workspace.audit_events.values_list("action", flat=True))
    assert actions == ["provider.switched_on", "provider.switched_off"]


def test_blocking_writes_one_notice_however_many_leads_meet_it(workspace, caplog):
    provider = ProviderFactory(workspace=workspace)
    with caplog.at_level(logging.WARNING):
        first = [services.block_provider(provider=provider, code="key_rejected") for _ in range(5)]
    assert first == [True, False, False, False, False]
    assert workspace.audit_events.filter(action="provider.blocked").count() == 1
    assert len([record for record in caplog.records if "no longer asked" in record.message]) == 1
    assert KEY not in caplog.text


def test_the_list_counts_what_happened(client_for, workspace):
    provider = ProviderFactory(workspace=workspace)
    for number, latency in enumerate((100, 300, 200)):
        item = RunItemFactory(lead__workspace=workspace)
        VendorCallFactory(item=item, provider=provider, latency_ms=latency)
        LookupFactory(item=item, provider=provider, **({"found": True} if number else {}))
    VendorCallFactory(item=item, provider=provider, attempt=2, failed=True)
    row = client_for("admin").get(LIST).context["rows"][0]
    assert (row.hit_rate.percent, row.median_ms) == (67, 200)
    assert row.last_error.error_message == "provider unreachable"


def test_a_slow_provider_is_called_slow_once_there_is_enough_to_judge_by(client_for, workspace):
    provider = ProviderFactory(workspace=workspace)
    for number in range(5):
        assert client_for("admin").get(LIST).context["rows"][0].state.label == "Healthy"
        VendorCallFactory(item__lead__workspace=workspace, provider=provider, latency_ms=6000 + number)
    assert client_for("admin").get(LIST).context["rows"][0].state.label == "Slow"


def test_the_last_twenty_errors_are_listed_with_their_lead(client_for, workspace):
    provider = ProviderFactory(workspace=workspace)
    item = RunItemFactory(lead__workspace=workspace)
    for attempt in range(1, 23):
        VendorCallFactory(item=item, provider=provider, attempt=attempt, failed=True)
    response = client_for("admin").get(url("provider_detail", provider))
    assert len(response.context["errors"]) == 20
    assert item.lead.full_name in response.content.decode()


def test_a_vendor_without_an_adapter_stays_readable(client_for, workspace):
    provider = ProviderFactory(workspace=workspace, vendor="gone-vendor")
    client = client_for("admin")
    assert "Not supported" in client.get(LIST).content.decode()
    assert client.get(url("provider_detail", provider)).status_code == 200
    assert client.post(url("replace_key", provider), {"api_key": "abcdefgh12345678"}).status_code == 422
    assert client.post(url("test_provider", provider)).status_code == 302


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", '"><script>1</script>', '" hx-get="/x'])
def test_a_hostile_name_stays_text(client_for, workspace, name):
    provider = ProviderFactory(workspace=workspace, name=name, last_test_ok=False, last_test_message=name)
    VendorCallFactory(
        item__lead__workspace=workspace,
        item__lead__full_name=name,
        provider=provider,
        failed=True,
        error_message=name,
    )
    for path in (LIST, url("provider_detail", provider)):
        page = client_for("admin").get(path).content.decode()
        assert "<script>1" not in page and "<img src=x" not in page and 'hx-get="/x' not in page


def test_a_vendor_that_echoes_the_key_does_not_bring_it_onto_a_page(monkeypatch):
    class Echoing:
        def check(self):
            raise services.AdapterError("refused", f"invalid key {KEY}")

    monkeypatch.setattr(services, "build_adapter", lambda *args, **kwargs: Echoing())
    result = services.check_credentials(vendor="hunter", credentials={"api_key": KEY}, base_url="")
    assert KEY not in result.message


def test_the_pages_cost_few_queries(client_for, workspace, django_assert_max_num_queries):
    for number in range(6):
        provider = ProviderFactory(workspace=workspace, slug=f"hunter-{number}")
        VendorCallFactory(item__lead__workspace=workspace, provider=provider, failed=True)
    client = client_for("admin")
    with django_assert_max_num_queries(9):
        client.get(LIST)
    with django_assert_max_num_queries(10):
        client.get(url("provider_detail", provider))
    assert VendorCall.objects.count() == 6


def test_a_key_is_not_sent_to_another_host_than_it_was_entered_for(client_for, workspace):
    provider = ProviderFactory(
        workspace=workspace, base_url="http://127.0.0.1:9/v2", enabled=True, credentials={"api_key": KEY}
    )
    url = reverse("enrichment:provider_detail", args=[provider.pk])
    settings = {"name": provider.name, "timeout_seconds": 15, "recheck_days": 30}
    same = client_for("admin").post(url, {**settings, "base_url": "http://127.0.0.1:9/v3"}, follow=True)
    assert same.status_code == 200
    provider.refresh_from_db()
    assert (provider.credentials, provider.enabled) == ({"api_key": KEY}, True)
    other = client_for("admin").post(url, {**settings, "base_url": "http://127.0.0.1:10/v2"}, follow=True)
    assert "enter it again" in other.content.decode()
    provider.refresh_from_db()
    assert (provider.credentials, provider.enabled) == ({}, False)
