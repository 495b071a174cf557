"""The waterfall page: everybody looks, admins change, two admins do not overwrite each other."""

import pytest
from django.urls import reverse

from core.channels import Channel
from enrichment.services.waterfalls import current_steps, save_waterfall
from tests.factories import LeadFactory
from tests.factories.enrichment import (
    ChannelEnrichmentFactory,
    LookupFactory,
    ProviderFactory,
    RunItemFactory,
    waterfall_of,
)

URL = "/waterfalls/work_email/"


@pytest.fixture
def providers(workspace):
    return [ProviderFactory(workspace=workspace, vendor=v) for v in ("hunter", "apollo", "prospeo")]


@pytest.fixture
def waterfall(workspace, providers):
    return waterfall_of(workspace, Channel.WORK_EMAIL, *providers)


def order_of(waterfall):
    return [step.slug for step in current_steps(waterfall)]


def posted(providers, base_version=1, on=None, **extra):
    return {
        "base_version": base_version,
        "order": [provider.pk for provider in providers],
        "on": [provider.pk for provider in (providers if on is None else on)],
        **extra,
    }


def shown_order(response):
    return [row.step.slug for row in response.context["rows"]]


def test_the_first_tab_is_work_email(client_for, waterfall):
    response = client_for("viewer").get(reverse("enrichment:waterfall"))
    assert response.status_code == 200
    assert response.context["channel"] == Channel.WORK_EMAIL


def test_an_unknown_channel_is_not_found(client_for):
    assert client_for("viewer").get("/waterfalls/fax/").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "rep"])
def test_others_than_admins_look_but_do_not_change(client_for, waterfall, providers, role):
    client = client_for(role)
    page = client.get(URL).content.decode()
    assert "Hunter" in page
    assert "Only admins can change the order." in page
    assert "savebar" not in page and 'name="move"' not in page
    assert client.post(URL, posted(providers[::-1], save="1")).status_code == 403
    roll_back = reverse("enrichment:roll_back_waterfall", args=["work_email", 1])
    assert client.post(roll_back).status_code == 403
    assert order_of(waterfall) == ["hunter", "apollo", "prospeo"]


def test_saving_makes_the_next_version(client_for, waterfall, providers):
    response = client_for("admin").post(URL, posted(providers[::-1], on=providers[:2], save="1"), follow=True)
    page = response.content.decode()
    assert "Saved as v2. New runs use it from now on." in page
    assert order_of(waterfall) == ["prospeo", "apollo", "hunter"]
    assert [step.enabled for step in current_steps(waterfall)] == [False, True, True]


def test_moving_without_script_shows_a_draft_and_saves_nothing(client_for, waterfall, providers):
    response = client_for("admin").post(URL, posted(providers, move=f"{providers[2].pk}:up"))
    assert shown_order(response) == ["hunter", "prospeo", "apollo"]
    assert "Prospeo 3 → 2" in response.content.decode()
    assert order_of(waterfall) == ["hunter", "apollo", "prospeo"]


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        ("{0}:up", ["hunter", "apollo", "prospeo"]),
        ("{0}:down", ["apollo", "hunter", "prospeo"]),
        ("{0}:3", ["apollo", "prospeo", "hunter"]),
        ("{0}:99", ["apollo", "prospeo", "hunter"]),
        ("{2}:1", ["prospeo", "hunter", "apollo"]),
        ("{2}:0", ["prospeo", "hunter", "apollo"]),
        ("999999:up", ["hunter", "apollo", "prospeo"]),
        ("{0}:sideways", ["hunter", "apollo", "prospeo"]),
        ("٣:up", ["hunter", "apollo", "prospeo"]),
        ("", ["hunter", "apollo", "prospeo"]),
    ],
)
def test_moves(client_for, waterfall, providers, move, expected):
    ids = [provider.pk for provider in providers]
    response = client_for("admin").post(URL, posted(providers, move=move.format(*ids)))
    assert shown_order(response) == expected


def test_a_draft_keeps_its_switches_while_moving(client_for, waterfall, providers):
    response = client_for("admin").post(
        URL, posted(providers, on=providers[1:], move=f"{providers[0].pk}:down")
    )
    assert [row.step.enabled for row in response.context["rows"]] == [True, False, True]
    assert "2 unsaved changes" in response.content.decode()


def test_nonsense_in_the_form_never_loses_a_provider(client_for, waterfall, providers):
    data = {"base_version": "1", "order": ["x", "-1", str(providers[2].pk), str(providers[2].pk), "9" * 40]}
    response = client_for("admin").post(URL, data)
    assert shown_order(response) == ["prospeo", "hunter", "apollo"]


def test_the_second_of_two_admins_sees_both_orders(client_for, waterfall, providers, admin):
    save_waterfall(
        waterfall=waterfall,
        steps=[(providers[i].pk, True) for i in (1, 0, 2)],
        base_version=1,
        user=admin,
    )
    response = client_for("admin").post(URL, posted(providers[::-1], save="1"))
    page = response.content.decode()
    assert response.status_code == 409
    assert f"{admin.display_name} saved v2 in the meantime." in page
    live, mine = response.context["conflict_sides"]
    assert [step.slug for step, _ in live["lines"]] == ["apollo", "hunter", "prospeo"]
    assert [step.slug for step, _ in mine["lines"]] == ["prospeo", "apollo", "hunter"]
    assert "Save as v3" in page
    assert order_of(waterfall) == ["apollo", "hunter", "prospeo"]


def test_the_draft_that_lost_can_be_saved_on_top(client_for, waterfall, providers, admin):
    save_waterfall(
        waterfall=waterfall,
        steps=[(providers[i].pk, True) for i in (1, 0, 2)],
        base_version=1,
        user=admin,
    )
    client = client_for("admin")
    conflict = client.post(URL, posted(providers[::-1], save="1"))
    client.post(URL, posted(providers[::-1], base_version=conflict.context["base_version"], save="1"))
    assert order_of(waterfall) == ["prospeo", "apollo", "hunter"]
    assert waterfall.versions.count() == 3


def test_a_provider_connected_meanwhile_is_not_lost_by_an_older_form(client_for, waterfall, providers, admin):
    late = ProviderFactory(workspace=waterfall.workspace, vendor="peopledatalabs")
    save_waterfall(
        waterfall=waterfall,
        steps=[(p.pk, True) for p in [*providers, late]],
        base_version=1,
        user=admin,
    )
    response = client_for("admin").post(URL, posted(providers[::-1], save="1"))
    assert response.status_code == 409
    assert shown_order(response)[-1] == "peopledatalabs"


def test_history_names_the_change_and_goes_back(client_for, waterfall, providers):
    client = client_for("admin")
    client.post(URL, posted([providers[1], providers[0], providers[2]], save="1"))
    page = client.get(URL).content.decode()
    assert "Moved Apollo above Hunter" in page
    response = client.post(reverse("enrichment:roll_back_waterfall", args=["work_email", 1]), follow=True)
    assert "Rolled back to v1, saved as v3." in response.content.decode()
    assert order_of(waterfall) == ["hunter", "apollo", "prospeo"]


def test_two_versions_side_by_side(client_for, waterfall, providers):
    client = client_for("admin")
    client.post(URL, posted([providers[1], providers[0], providers[2]], on=providers[:2], save="1"))
    response = client.get(URL, {"from": "1", "to": "2"})
    left, right = response.context["comparison"]["sides"]
    assert [step.slug for step, _ in left["lines"]] == ["hunter", "apollo", "prospeo"]
    assert [(step.slug, mark) for step, mark in right["lines"]] == [
        ("apollo", "moved"),
        ("hunter", ""),
        ("prospeo", "switched"),
    ]


@pytest.mark.parametrize(
    "query", ["from=1", "from=1&to=99", "from=x&to=1", "from=-1&to=1", "from=&to=", "to=" + "9" * 30]
)
def test_a_comparison_that_cannot_be_made_is_left_out(client_for, waterfall, query):
    response = client_for("viewer").get(f"{URL}?{query}")
    assert response.status_code == 200
    assert response.context["comparison"] is None


def test_figures_are_counted_and_never_invented(client_for, waterfall, providers):
    page = client_for("viewer").get(URL)
    assert page.context["rows"][0].hit_rate.percent is None
    assert "Not asked in 90 days" in page.content.decode()
    for number in range(4):
        item = RunItemFactory(lead=LeadFactory(workspace=waterfall.workspace), done=True)
        found = number < 3
        LookupFactory(
            item=item,
            provider=providers[0],
            channel="work_email",
            found=found,
            **({} if found else {"result": "not_found"}),
        )
        ChannelEnrichmentFactory(
            item=item, channel="work_email", state="not_found", settled_at=item.finished_at
        )
    LookupFactory(
        item=item, provider=providers[1], channel="work_email", result="skipped", message="needs a domain"
    )
    response = client_for("viewer").get(URL)
    rates = {row.step.slug: row.hit_rate for row in response.context["rows"]}
    assert (rates["hunter"].found, rates["hunter"].asked, rates["hunter"].percent) == (3, 4, 75)
    assert rates["apollo"].asked == 0
    assert response.context["figures"].leads == 4


def test_a_provider_that_is_off_or_blocked_says_so(client_for, workspace):
    waterfall_of(
        workspace,
        Channel.WORK_EMAIL,
        ProviderFactory(workspace=workspace, vendor="hunter", blocked=True),
        ProviderFactory(workspace=workspace, vendor="apollo", off=True),
    )
    page = client_for("viewer").get(URL).content.decode()
    assert "Key rejected" in page
    assert "Switched off" in page


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", '"><script>1</script>', '" hx-get="/x'])
def test_a_hostile_name_stays_text(client_for, workspace, name):
    waterfall_of(workspace, Channel.WORK_EMAIL, ProviderFactory(workspace=workspace, name=name))
    page = client_for("admin").get(URL).content.decode()
    assert name not in page
    assert "<script>1" not in page and "<img src=x" not in page and 'hx-get="/x' not in page


def test_another_workspaces_order_is_its_own(client_for, waterfall, providers, other_workspace):
    foreign = waterfall_of(other_workspace, Channel.WORK_EMAIL, ProviderFactory(workspace=other_workspace))
    client = client_for("admin", workspace=other_workspace)
    page = client.get(URL).content.decode()
    assert "Apollo" not in page
    client.post(URL, posted(providers[::-1], save="1"))
    assert order_of(foreign) == ["hunter"]
    assert order_of(waterfall) == ["hunter", "apollo", "prospeo"]


def test_the_page_costs_few_queries(client_for, waterfall, django_assert_max_num_queries):
    client = client_for("viewer")
    client.get(URL)
    with django_assert_max_num_queries(14):
        client.get(URL)


def test_looking_at_a_waterfall_that_is_not_there_yet_writes_nothing(client_for, workspace):
    response = client_for("admin").get(URL)
    assert response.status_code == 200
    assert "Nobody to ask yet" in response.content.decode()
    assert not workspace.waterfalls.exists()


def test_numbers_beyond_any_row_are_not_found(client_for, waterfall):
    client = client_for("admin")
    roll_back = "/waterfalls/work_email/versions/99999999999999999999/roll-back/"
    assert client.post(roll_back).status_code == 404
    assert client.get("/leads/99999999999999999999/enrichment/").status_code == 404
    assert client.get("/providers/99999999999999999999/").status_code == 404
