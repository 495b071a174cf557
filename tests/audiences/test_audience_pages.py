"""The pages on which audiences are made, changed and filled."""

import re

import pytest

from audiences.models import Audience
from core.channels import Channel, mask_of
from leads.models import Lead
from tests.factories import AudienceFactory, ContactPointFactory, LeadFactory
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db


def text_of(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.fixture
def audience(workspace):
    return AudienceFactory(workspace=workspace, name="Hot EMEA", required=["work_email"])


def url(audience, rest=""):
    return f"/audiences/{audience.pk}/{rest}"


class TestTheList:
    def test_it_shows_size_scope_and_how_full_each_is(self, client_for, workspace, other_workspace):
        leads = [LeadFactory(workspace=workspace, with_work_email=True), LeadFactory(workspace=workspace)]
        AudienceFactory(workspace=workspace, name="Hot EMEA", leads=leads)
        AudienceFactory(workspace=other_workspace, name="Theirs")
        text = text_of(client_for("viewer").get("/audiences/"))
        assert "Hot EMEA 2 Work email 50% full" in text
        assert "Theirs" not in text
        assert "New audience" not in text

    def test_without_any_it_says_what_an_audience_is(self, client_for):
        text = text_of(client_for("admin").get("/audiences/"))
        assert "No audiences yet" in text
        assert "New audience" in text

    def test_more_audiences_cost_no_more_queries(self, client_for, workspace, django_assert_max_num_queries):
        client = client_for("viewer")
        for _ in range(12):
            AudienceFactory(workspace=workspace, leads=[LeadFactory(workspace=workspace)])
        with django_assert_max_num_queries(5):
            client.get("/audiences/")


class TestMakingAndChanging:
    def test_an_admin_makes_one_and_goes_on_to_add_leads(self, client_for, workspace):
        client = client_for("admin")
        response = client.post("/audiences/new/", {"name": "Hot", "channels": ["phone", "work_email"]})
        made = Audience.objects.get()
        assert response.url == url(made, "leads/")
        assert (made.workspace, made.required_channels) == (workspace, mask_of(["phone", "work_email"]))

    @pytest.mark.parametrize(
        "fields", [{"name": "New"}, {"name": "", "channels": "phone"}, {"channels": "fax"}]
    )
    def test_a_wrong_form_comes_back_as_it_was(self, client_for, fields):
        response = client_for("admin").post("/audiences/new/", fields)
        assert response.status_code == 422
        assert f'value="{fields.get("name", "")}"' in response.content.decode()
        assert not Audience.objects.exists()

    def test_the_preview_counts_before_anything_is_saved(self, client_for, workspace, audience):
        leads = [LeadFactory(workspace=workspace, with_work_email=True) for _ in range(3)]
        client = client_for("admin")
        client.post(url(audience, "leads/"), {"lead": [lead.pk for lead in leads]})
        preview = url(audience, "channels/preview/")
        page = client.get(preview, {"channels": ["work_email", "phone"]}).content.decode()
        assert "Changing this makes 3 leads partial." in page
        assert 'id="scope-preview"' in page
        assert "This is what is required now." in text_of(client.get(preview, {"channels": ["work_email"]}))
        assert "Choose at least one channel." in text_of(client.get(preview))
        assert "That is not a channel." in text_of(client.get(preview, {"channels": ["fax"]}))
        assert set(Lead.objects.values_list("enrichment_status", flat=True)) == {"full"}

    def test_saving_the_channels_moves_the_circles(self, client_for, workspace, audience):
        lead = LeadFactory(workspace=workspace, with_work_email=True)
        client = client_for("admin")
        client.post(url(audience, "leads/"), {"lead": lead.pk})
        response = client.post(url(audience, "channels/"), {"channels": ["work_email", "phone"]}, follow=True)
        assert "The requirements of 1 lead changed." in text_of(response)
        assert Lead.objects.get().enrichment_status == "partial"

    def test_no_channel_at_all_is_refused(self, client_for, audience):
        response = client_for("admin").post(url(audience, "channels/"))
        assert response.status_code == 422
        assert "Choose at least one channel." in text_of(response)
        audience.refresh_from_db()
        assert audience.required_channels == Channel.WORK_EMAIL.bit

    def test_renaming_to_a_name_in_use_is_refused(self, client_for, workspace, audience):
        AudienceFactory(workspace=workspace, name="Taken")
        client = client_for("admin")
        response = client.post(url(audience, "rename/"), {"name": "Taken"})
        assert response.status_code == 422
        assert "already an audience named Taken" in text_of(response)
        assert client.post(url(audience, "rename/"), {"name": "Fresh"}).status_code == 302
        audience.refresh_from_db()
        assert audience.name == "Fresh"

    def test_deleting_asks_first_and_keeps_the_leads(self, client_for, workspace, audience):
        lead = LeadFactory(workspace=workspace)
        client = client_for("admin")
        client.post(url(audience, "leads/"), {"lead": lead.pk})
        assert "Delete Hot EMEA?" in text_of(client.get(url(audience, "delete/")))
        assert client.post(url(audience, "delete/")).url == "/audiences/"
        assert not Audience.objects.exists()
        assert Lead.objects.get().required_channels == workspace.default_channels

    def test_what_leads_in_no_audience_need_is_changed_here_too(self, client_for, workspace):
        LeadFactory(workspace=workspace, with_phone=True)
        client = client_for("admin")
        preview = client.get("/audiences/default/preview/", {"channels": "phone"})
        assert "Changing this makes 1 lead full." in text_of(preview)
        assert client.post("/audiences/default/", {"channels": "phone"}).status_code == 302
        assert Lead.objects.get().enrichment_status == "full"
        assert client.post("/audiences/default/").status_code == 422

    def test_a_rep_sees_the_scope_but_cannot_change_it(self, client_for, audience):
        client = client_for("rep")
        page = client.get(url(audience)).content.decode()
        assert 'name="channels"' not in page
        assert "Add leads" in page
        assert client.post(url(audience, "channels/"), {"channels": "phone"}).status_code == 403
        assert "Add leads" not in client_for("viewer").get(url(audience)).content.decode()


class TestMembers:
    def test_members_are_paged_by_key_best_score_first(self, client_for, workspace, audience):
        leads = [
            LeadFactory(workspace=workspace, icp_score=score) for score in [*range(100, 40, -1), None, 5]
        ]
        client = client_for("rep")
        client.post(url(audience, "leads/"), {"lead": [lead.pk for lead in leads]})
        seen, following = [], url(audience)
        while following:
            page = client.get(following).content.decode()
            seen += [int(number) for number in re.findall(r'id="member-(\d+)"', page)]
            found = re.search(r'href="(\?after=[\d.]+)"', page)
            following = url(audience, found[1]) if found else ""
        expected = [*leads[:60], leads[61], leads[60]]
        assert seen == [lead.pk for lead in expected]

    @pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "-1.5", "9" * 40 + ".1", "²."])
    def test_a_cursor_that_makes_no_sense_is_the_first_page(self, client_for, audience, cursor):
        assert client_for("viewer").get(url(audience), {"after": cursor}).status_code == 200

    def test_search_finds_only_leads_that_are_not_members(
        self, client_for, workspace, audience, other_workspace
    ):
        member, free, _foreign = (
            LeadFactory(workspace=place, full_name=name, search_text=name.lower())
            for place, name in (
                (workspace, "Ada Member"),
                (workspace, "Ada Free"),
                (other_workspace, "Ada Foreign"),
            )
        )
        client = client_for("rep", htmx=True)
        client.post(url(audience, "leads/"), {"lead": member.pk})
        page = client.get(url(audience, "leads/"), {"q": "ada"}).content.decode()
        assert page.count('type="checkbox"') == 1
        assert free.full_name in page
        assert 'id="lead-results"' in page
        assert "<html" not in page
        nothing = client.get(url(audience, "leads/"), {"q": "zzz <b>"}).content.decode()
        assert "matches “zzz &lt;b&gt;”" in nothing

    def test_foreign_and_senseless_ids_are_ignored(self, client_for, workspace, audience, other_workspace):
        lead, foreign = LeadFactory(workspace=workspace), LeadFactory(workspace=other_workspace)
        response = client_for("rep").post(
            url(audience, "leads/"), {"lead": [lead.pk, foreign.pk, "x", "-1", "9" * 30]}, follow=True
        )
        assert "1 lead added." in text_of(response)
        assert list(audience.leads.all()) == [lead]

    def test_pasted_addresses_and_profiles_find_their_leads(
        self, client_for, workspace, audience, other_workspace
    ):
        by_mail = ContactPointFactory(
            lead=LeadFactory(workspace=workspace), value="ines@halden.com", normalized="ines@halden.com"
        )
        retired = ContactPointFactory(
            lead=LeadFactory(workspace=workspace),
            channel="personal_email",
            normalized="old@mail.com",
            state="bounced",
        )
        profile = ContactPointFactory(
            lead=LeadFactory(workspace=workspace), channel="linkedin_url", normalized="linkedin.com/in/ines-m"
        )
        ContactPointFactory(lead=LeadFactory(workspace=other_workspace), normalized="them@there.com")
        text = (
            "Ines Moreau <INES@Halden.com>; old@mail.com\n"
            "https://www.LinkedIn.com/in/ines-m/?trk=x, them@there.com\0 nobody@x.com"
        )
        response = client_for("rep").post(url(audience, "leads/paste/"), {"values": text}, follow=True)
        assert set(audience.leads.values_list("pk", flat=True)) == {
            by_mail.lead_id,
            retired.lead_id,
            profile.lead_id,
        }
        assert "3 leads added." in text_of(response)
        assert "No lead for 4 of the values" in text_of(response)

    @pytest.mark.parametrize("text", ["", "  \n ", "nobody@x.com", "' OR 1=1 --"])
    def test_a_paste_that_finds_nobody_says_so(self, client_for, audience, text):
        response = client_for("rep").post(url(audience, "leads/paste/"), {"values": text})
        assert response.status_code == 422

    def test_removing_a_member_puts_its_circle_right(self, client_for, workspace, audience):
        lead = LeadFactory(workspace=workspace, with_work_email=True)
        client = client_for("rep")
        client.post(url(audience, "leads/"), {"lead": lead.pk})
        assert Lead.objects.get().enrichment_status == "full"
        client.post(url(audience, "leads/remove/"), {"lead": lead.pk})
        assert Lead.objects.get().enrichment_status == "partial"
        assert AuditEvent.objects.count() == 2

    def test_an_audience_deleted_in_another_tab_is_said_so(self, client_for, audience, monkeypatch):
        client = client_for("rep")
        from audiences import views

        found = views._audience

        def deleted_after_it_was_found(request, audience_id):
            row = found(request, audience_id)
            Audience.objects.all().delete()
            return row

        monkeypatch.setattr(views, "_audience", deleted_after_it_was_found)
        response = client.post(url(audience, "leads/"), {"lead": 1}, follow=True)
        assert "has been deleted" in text_of(response)

    def test_hostile_names_are_only_text(self, client_for, workspace):
        hostile = '"><img src=x onerror=alert(1)>'
        audience = AudienceFactory(workspace=workspace, name=hostile)
        lead = LeadFactory(workspace=workspace, full_name=hostile, company_name=hostile)
        client = client_for("admin")
        client.post(url(audience, "leads/"), {"lead": lead.pk})
        for path in (
            "/audiences/",
            url(audience),
            url(audience, "leads/"),
            url(audience, "delete/"),
            f"/leads/{lead.pk}/audiences/",
        ):
            assert "<img" not in client.get(path).content.decode()


class TestOneLeadsAudiences:
    def test_each_required_channel_is_ticked_or_open(self, client_for, workspace):
        lead = LeadFactory(workspace=workspace, with_work_email=True)
        AudienceFactory(workspace=workspace, name="Hot", required=["work_email", "phone"], leads=[lead])
        response = client_for("viewer").get(f"/leads/{lead.pk}/audiences/")
        assert "Audiences Hot Work email found Phone missing" in text_of(response)
        assert 'id="lead-audiences"' in response.content.decode()
        assert "<form" not in response.content.decode()

    def test_a_lead_in_none_shows_the_workspaces_default(self, client_for, workspace):
        lead = LeadFactory(workspace=workspace)
        text = text_of(client_for("viewer").get(f"/leads/{lead.pk}/audiences/"))
        assert "In no audience Work email missing LinkedIn URL missing" in text

    def test_it_reads_the_lead_and_the_audiences_and_nothing_else(
        self, client_for, workspace, django_assert_num_queries
    ):
        lead = LeadFactory(workspace=workspace)
        for _ in range(5):
            AudienceFactory(workspace=workspace, leads=[lead])
        client = client_for("rep")
        with django_assert_num_queries(2 + 2):  # user, memberships (the session is cached); then ours
            client.get(f"/leads/{lead.pk}/audiences/")

    def test_joining_and_leaving_answer_with_the_section_and_tell_the_page(
        self, client_for, workspace, audience
    ):
        lead = LeadFactory(workspace=workspace)
        client = client_for("rep", htmx=True)
        joined = client.post(f"/leads/{lead.pk}/audiences/join/", {"audience": audience.pk})
        assert joined.status_code == 200
        assert f"lead-changed-{lead.pk}" in joined["HX-Trigger"]
        assert "Hot EMEA" in text_of(joined)
        left = client.post(f"/leads/{lead.pk}/audiences/{audience.pk}/leave/")
        assert "In no audience" in text_of(left)
        assert not audience.leads.exists()

    def test_without_script_it_returns_to_the_lead(self, client_for, workspace, audience):
        lead = LeadFactory(workspace=workspace)
        response = client_for("rep").post(f"/leads/{lead.pk}/audiences/join/", {"audience": audience.pk})
        assert response.url == f"/leads/{lead.pk}/"

    def test_an_audience_of_another_workspace_cannot_be_joined(self, client_for, workspace, other_workspace):
        lead, foreign = LeadFactory(workspace=workspace), AudienceFactory(workspace=other_workspace)
        client = client_for("rep")
        for chosen in (foreign.pk, 2**62, "", "x"):
            response = client.post(f"/leads/{lead.pk}/audiences/join/", {"audience": chosen})
            assert response.status_code == 404
        assert not foreign.leads.exists()
