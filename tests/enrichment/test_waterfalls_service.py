"""Saving, conflicts, history and going back, without a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels import Channel
from core.exceptions import DomainError
from enrichment.exceptions import WaterfallConflict
from enrichment.models import WaterfallVersion
from enrichment.services.waterfalls import (
    StepState,
    add_provider_to_waterfalls,
    current_steps,
    describe_changes,
    ensure_waterfalls,
    moved_providers,
    roll_back,
    save_waterfall,
)
from tests.factories.enrichment import ProviderFactory, waterfall_of


@pytest.fixture
def providers(workspace):
    vendors = ["hunter", "apollo", "prospeo", "peopledatalabs"]
    return {vendor: ProviderFactory(workspace=workspace, vendor=vendor) for vendor in vendors}


@pytest.fixture
def phone(workspace, providers):
    """Prospeo, People Data Labs, Apollo, as v1."""
    order = [providers[vendor] for vendor in ("prospeo", "peopledatalabs", "apollo")]
    return waterfall_of(workspace, Channel.PHONE, *order)


def line(provider, name, enabled=True):
    return StepState(provider, name.lower(), name, enabled)


def names(waterfall):
    return [step.name for step in current_steps(waterfall)]


def pairs(waterfall, *order):
    steps = {step.slug: step for step in current_steps(waterfall)}
    return [(steps[slug].provider, steps[slug].enabled) for slug in order]


def test_a_workspace_has_one_waterfall_per_channel(workspace):
    first = ensure_waterfalls(workspace)
    again = ensure_waterfalls(workspace)
    assert list(first) == list(Channel.values)
    assert {row.pk for row in first.values()} == {row.pk for row in again.values()}


def test_a_saved_order_is_the_next_version_in_words(phone, admin):
    version = save_waterfall(
        waterfall=phone, steps=pairs(phone, "apollo", "prospeo", "peopledatalabs"), base_version=1, user=admin
    )
    assert (version.number, version.summary) == (2, "Moved Apollo above Prospeo")
    assert version.saved_by == admin
    assert names(phone) == ["Apollo", "Prospeo", "People Data Labs"]
    event = phone.workspace.audit_events.get(action="waterfall.saved", actor=admin)
    assert event.details["summary"] == version.summary


def test_the_order_as_it_is_makes_no_version(phone, admin):
    version = save_waterfall(
        waterfall=phone, steps=pairs(phone, "prospeo", "peopledatalabs", "apollo"), base_version=1, user=admin
    )
    assert version.number == 1
    assert phone.versions.count() == 1


def test_an_order_based_on_an_old_version_is_a_conflict_and_changes_nothing(phone, admin):
    order = pairs(phone, "apollo", "prospeo", "peopledatalabs")
    save_waterfall(waterfall=phone, steps=order, base_version=1, user=admin)
    with pytest.raises(WaterfallConflict, match=f"{admin.display_name} saved v2"):
        save_waterfall(waterfall=phone, steps=order[::-1], base_version=1, user=admin)
    assert names(phone) == ["Apollo", "Prospeo", "People Data Labs"]


def test_a_provider_of_another_workspace_cannot_be_named(phone, admin, other_workspace):
    foreign = ProviderFactory(workspace=other_workspace)
    with pytest.raises(DomainError):
        save_waterfall(waterfall=phone, steps=[(foreign.pk, True)], base_version=1, user=admin)
    assert len(names(phone)) == 3


def test_a_provider_is_named_once(phone, admin):
    step = pairs(phone, "apollo")
    with pytest.raises(DomainError, match="only once"):
        save_waterfall(waterfall=phone, steps=step * 2, base_version=1, user=admin)


def test_rolling_back_is_a_new_version(phone, admin):
    save_waterfall(
        waterfall=phone, steps=pairs(phone, "apollo", "prospeo", "peopledatalabs"), base_version=1, user=admin
    )
    version = roll_back(waterfall=phone, number=1, user=admin)
    assert version.number == 3
    assert version.summary.startswith("Rolled back to v1. ")
    assert names(phone) == ["Prospeo", "People Data Labs", "Apollo"]


def test_rolling_back_keeps_later_providers_switched_off_at_the_end(phone, providers, admin):
    steps = [*pairs(phone, "prospeo", "peopledatalabs", "apollo"), (providers["hunter"].pk, True)]
    save_waterfall(waterfall=phone, steps=steps, base_version=1, user=admin)
    roll_back(waterfall=phone, number=1, user=admin)
    last = current_steps(phone)[-1]
    assert (last.name, last.enabled) == ("Hunter", False)


def test_rolling_back_to_a_version_that_never_was_is_refused(phone, admin):
    with pytest.raises(WaterfallVersion.DoesNotExist):
        roll_back(waterfall=phone, number=9, user=admin)


def test_a_connected_provider_comes_last_in_the_waterfalls_of_its_channels(workspace, admin):
    provider = ProviderFactory(workspace=workspace, vendor="hunter")
    saved = add_provider_to_waterfalls(provider, admin)
    assert [version.summary for version in saved] == ["Added Hunter at position 1"]
    assert names(ensure_waterfalls(workspace)["work_email"]) == ["Hunter"]
    assert names(ensure_waterfalls(workspace)["phone"]) == []
    assert add_provider_to_waterfalls(provider, admin) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("HAP", "AHP", ["Moved Apollo above Hunter"]),
        ("HAP", "APH", ["Moved Hunter below Prospeo"]),
        ("HAP", "HaP", ["Turned off Apollo"]),
        ("HaP", "HAP", ["Turned on Apollo"]),
        ("HA", "HAP", ["Added Prospeo at position 3"]),
        ("HAP", "HP", ["Removed Apollo"]),
        ("HAP", "HAP", []),
    ],
)
def test_changes_in_words(before, after, words):
    full = {"H": (1, "Hunter"), "A": (2, "Apollo"), "P": (3, "Prospeo")}

    def steps(letters):
        return [line(*full[letter.upper()], enabled=letter.isupper()) for letter in letters]

    assert describe_changes(steps(before), steps(after)) == words


@given(st.permutations(range(7)))
def test_moving_only_the_moved_ones_explains_any_order(order):
    before = [line(number, str(number)) for number in range(7)]
    after = [line(number, str(number)) for number in order]
    moved = moved_providers(before, after)
    stayed = [number for number in order if number not in moved]
    assert stayed == sorted(stayed)
    assert len(describe_changes(before, after)) == len(moved)


def test_a_summary_of_long_names_fits(workspace, admin):
    long_names = [
        ProviderFactory(workspace=workspace, vendor="hunter", slug=f"hunter-{n}", name=f"{n}" + "x" * 79)
        for n in range(6)
    ]
    waterfall = waterfall_of(workspace, Channel.WORK_EMAIL, *long_names)
    steps = [(provider.pk, False) for provider in reversed(long_names)]
    version = save_waterfall(waterfall=waterfall, steps=steps, base_version=1, user=admin)
    assert len(version.summary) <= 300


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrent
def test_of_two_admins_saving_at_once_one_wins_and_one_is_told(workspace, providers, member, at_once):
    admin = member("admin")
    waterfall = waterfall_of(workspace, Channel.PHONE, *providers.values())
    ids = [provider.pk for provider in providers.values()]

    def saver(order):
        return lambda: save_waterfall(
            waterfall=waterfall, steps=[(pk, True) for pk in order], base_version=1, user=admin
        )

    results = at_once(saver(ids[::-1]), saver(ids[1:] + ids[:1]))
    assert sorted(type(result).__name__ for result in results) == ["WaterfallConflict", "WaterfallVersion"]
    assert waterfall.versions.count() == 2
    positions = list(waterfall.steps.order_by("position").values_list("position", flat=True))
    assert positions == [1, 2, 3, 4]
