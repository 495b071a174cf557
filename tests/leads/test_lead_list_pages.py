"""The pages of the leads list: every lead once, forwards and backwards, in every order, whatever the cursor."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.core import signing
from django.utils import timezone

from leads.listing import SALT, SORTS, Cursor, Sort, neighbours, page_of
from leads.models import Lead
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db

SIZE = 4


@pytest.fixture
def leads(workspace):
    """Nineteen leads with ties and gaps in everything the list is sorted by."""
    now = timezone.now()
    return [
        LeadFactory(
            workspace=workspace,
            full_name=f"Name {n % 5}",
            company_name=["", "Zeta", "alpha", "Älpha"][n % 4],
            icp_score=None if n % 3 == 0 else 90 - n % 4,
            enriched_at=None if n % 4 == 0 else now - timedelta(hours=n % 6),
        )
        for n in range(19)
    ]


def rows(workspace):
    return Lead.objects.in_workspace(workspace)


def walk(workspace, sort, direction, cursor=""):
    """The pages met by following the cursors of ``direction`` from ``cursor`` on."""
    pages = [page_of(rows(workspace), sort, cursor, SIZE)]
    while following := getattr(pages[-1], direction):
        pages.append(page_of(rows(workspace), sort, following, SIZE))
        assert len(pages) < 20
    return pages


@pytest.mark.parametrize("text", SORTS)
def test_following_the_pages_meets_every_lead_once_in_order(workspace, leads, text):
    sort = Sort.parse(text)
    pages = walk(workspace, sort, "next")
    met = [lead.pk for page in pages for lead in page.leads]
    assert met == list(
        rows(workspace).order_by(*sort.order.by(backwards=sort.reversed)).values_list("pk", flat=True)
    )
    assert [page.first_number for page in pages] == [1, 5, 9, 13, 17]
    assert pages[-1].last_number == 19
    assert pages[0].previous == ""


@pytest.mark.parametrize("text", SORTS)
def test_going_back_shows_the_same_pages(workspace, leads, text):
    sort = Sort.parse(text)
    forwards = walk(workspace, sort, "next")
    backwards = walk(workspace, sort, "previous", forwards[-2].next)
    assert [page.leads for page in backwards[::-1]] == [page.leads for page in forwards]
    assert [page.first_number for page in backwards[::-1]] == [page.first_number for page in forwards]


@pytest.mark.parametrize("text", SORTS)
def test_the_neighbours_of_each_lead_are_those_of_the_list(workspace, leads, text, django_assert_num_queries):
    sort = Sort.parse(text)
    in_order = list(rows(workspace).order_by(*sort.order.by(backwards=sort.reversed)))
    for before, lead, after in zip([None, *in_order], in_order, [*in_order[1:], None], strict=False):
        with django_assert_num_queries(1):
            found = neighbours(rows(workspace), sort, lead)
        assert [row and row["pk"] for row in found] == [before and before.pk, after and after.pk]


def test_a_lead_that_comes_in_above_is_not_shown_twice(workspace, leads):
    sort = Sort.parse("icp")
    first = page_of(rows(workspace), sort, "", SIZE)
    LeadFactory(workspace=workspace, icp_score=100)
    second = page_of(rows(workspace), sort, first.next, SIZE)
    assert not {lead.pk for lead in first.leads} & {lead.pk for lead in second.leads}


def test_a_lead_that_left_is_no_gap(workspace, leads):
    sort = Sort.parse("name")
    first = page_of(rows(workspace), sort, "", SIZE)
    expected = page_of(rows(workspace), sort, first.next, SIZE).leads
    first.leads[-1].delete()
    assert page_of(rows(workspace), sort, first.next, SIZE).leads == expected


def test_going_back_to_the_beginning_shows_a_full_first_page(workspace, leads):
    sort = Sort.parse("icp")
    second_lead = page_of(rows(workspace), sort, "", SIZE).leads[1]
    cursor = Cursor(sort.value_of(second_lead), second_lead.pk, True, 2).encode(sort)
    page = page_of(rows(workspace), sort, cursor, SIZE)
    assert (len(page.leads), page.first_number, page.previous) == (SIZE, 1, "")


def hostile_cursors():
    sort = Sort.parse("icp")
    good = Cursor(10, 5, False, 3).encode(sort)
    yield from ["x", "'", good[:-2], good + "x", good.replace(":", ""), "💥", "\x00", "a" * 5000]
    yield Cursor("Ines", 5, False, 1).encode(Sort.parse("name"))
    for payload in (None, [], {"a": 1}, ["icp"], ["icp", 1, 2, 3, 4, 5]):
        yield signing.dumps(payload, salt=SALT)
    yield signing.dumps(["icp", 1, 1, 0, 1], salt="another")


# By number: a signed cursor holds the time, and both test processes must name the tests alike.
@pytest.mark.parametrize("number", range(len(list(hostile_cursors()))))
def test_a_cursor_that_was_not_given_out_shows_the_first_page(client_for, workspace, leads, number):
    cursor = list(hostile_cursors())[number]
    client = client_for("rep")
    first, other = client.get("/leads/", {}), client.get("/leads/", {"cursor": cursor})
    assert other.status_code == 200
    shown = [re.findall(r'data-lead="(\d+)"', page.content.decode()) for page in (first, other)]
    assert shown[0] == shown[1]


def test_the_page_links_to_its_neighbours_and_says_where_it_stands(client_for, workspace):
    LeadFactory.create_batch(55, workspace=workspace)
    client = client_for("rep")
    page = client.get("/leads/?sort=name").content.decode()
    assert "1–50 of 55" in page
    following = unescape(re.search(r'id="page-next" href="([^"]+)"', page)[1])
    assert "sort=name" in following
    second = client.get(following).content.decode()
    assert "51–55 of 55" in second
    assert (
        "1–50 of 55"
        in client.get(unescape(re.search(r'id="page-previous" href="([^"]+)"', second)[1])).content.decode()
    )


def test_a_new_order_begins_at_its_first_page(client_for, workspace):
    LeadFactory.create_batch(55, workspace=workspace)
    client = client_for("rep")
    page = client.get("/leads/").content.decode()
    second = client.get(unescape(re.search(r'id="page-next" href="([^"]+)"', page)[1])).content.decode()
    assert "cursor" not in re.search(r'id="sort-name" href="([^"]+)"', second)[1]
    assert "cursor" not in re.search(r'id="tab-full" href="([^"]+)"', second)[1]


def plan_of(queryset):
    """The plan with scanning and sorting priced out, as a big table would."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
    return queryset.explain()


@pytest.mark.parametrize(
    ("text", "index"),
    [("icp", "lead_by_priority"), ("name", "lead_by_name"), ("company", "lead_by_company"),
     ("enriched", "lead_by_enriched")],
)  # fmt: skip
@pytest.mark.parametrize("sign", ["", "-"])
def test_each_order_is_read_off_an_index_from_the_cursor_on(workspace, leads, text, index, sign):
    sort = Sort.parse(sign + text)
    lead = leads[1]
    for before in (False, True):
        parts = sort.order.beyond(
            rows(workspace), sort.value_of(lead), lead.pk, backwards=sort.reversed != before
        )
        for part in parts:
            plan = plan_of(part[:SIZE])
            assert index in plan
            assert "Sort" not in plan
            condition = re.search(r"Index Cond: (.*)", plan)[1]
            assert sort.order.column in condition
