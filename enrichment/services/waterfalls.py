"""Changes a channel's order of providers, keeping every saved order as a version that can be gone back to."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from core.channels import Channel
from core.exceptions import DomainError
from enrichment.adapters import ADAPTERS
from enrichment.exceptions import WaterfallConflict
from enrichment.models import Provider, Waterfall, WaterfallStep, WaterfallVersion
from workspaces.models import User, Workspace
from workspaces.services import record_audit

SUMMARY_LENGTH = WaterfallVersion._meta.get_field("summary").max_length or 300
CHANGES_NAMED = 3


@dataclass(frozen=True)
class StepState:
    """One line of an order: which provider, and whether it is asked."""

    provider: int
    slug: str
    name: str
    enabled: bool

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "StepState":
        """Read one line of ``WaterfallVersion.steps``."""
        return cls(int(data["provider"]), str(data["slug"]), str(data["name"]), bool(data["enabled"]))

    @classmethod
    def of(cls, provider: Provider, *, enabled: bool) -> "StepState":
        """The line of ``provider``."""
        return cls(provider.pk, provider.slug, provider.name, enabled)

    def as_json(self) -> dict[str, Any]:
        """The shape kept in ``WaterfallVersion.steps``."""
        return {"provider": self.provider, "slug": self.slug, "name": self.name, "enabled": self.enabled}


def ensure_waterfalls(workspace: Workspace) -> dict[str, Waterfall]:
    """The workspace's four waterfalls by channel, in channel order; missing ones are created empty."""
    found = {row.channel: row for row in Waterfall.objects.filter(workspace=workspace)}
    if missing := [channel for channel in Channel.values if channel not in found]:
        Waterfall.objects.bulk_create(
            [Waterfall(workspace=workspace, channel=channel) for channel in missing], ignore_conflicts=True
        )
        found = {row.channel: row for row in Waterfall.objects.filter(workspace=workspace)}
    return {channel: found[channel] for channel in Channel.values}


def waterfall_for(workspace: Workspace, channel: str) -> Waterfall:
    """The channel's waterfall to look at: the stored one, or an empty unsaved one where none is yet."""
    stored = Waterfall.objects.filter(workspace=workspace, channel=channel).first()
    return stored or Waterfall(workspace=workspace, channel=channel)


def current_steps(waterfall: Waterfall) -> list[StepState]:
    """The live order, top first."""
    rows = WaterfallStep.objects.filter(waterfall_id=waterfall.pk)
    rows = rows.select_related("provider").order_by("position")
    return [StepState.of(row.provider, enabled=row.enabled) for row in rows]


@transaction.atomic
def save_waterfall(
    *, waterfall: Waterfall, steps: Sequence[tuple[int, bool]], base_version: int, user: User | None
) -> WaterfallVersion | None:
    """Make ``steps`` ((provider id, enabled), top first) the live order, as a new version.

    WaterfallConflict when ``base_version`` is no longer the live one; DomainError when a provider is
    named twice or is not this workspace's. The order as it already is makes no new version: the live
    one is returned (None where nothing was ever saved).
    """
    locked = _locked(waterfall.pk)
    if locked.version != base_version:
        raise WaterfallConflict(_conflict_message(locked))
    after = _named(locked, steps)
    version = _write(locked, after, user=user)
    waterfall.version = locked.version
    return version


@transaction.atomic
def roll_back(*, waterfall: Waterfall, number: int, user: User | None) -> WaterfallVersion | None:
    """Make the order of version ``number`` the live one again, as a new version.

    Providers that came later keep a place at the end, switched off; providers that are gone are left
    out. WaterfallVersion.DoesNotExist when there is no such version.
    """
    locked = _locked(waterfall.pk)
    target = locked.versions.get(number=number)
    wanted = [StepState.from_json(line) for line in target.steps]
    present = {
        provider.pk: provider for provider in Provider.objects.filter(workspace_id=locked.workspace_id)
    }
    after = [
        StepState.of(present[line.provider], enabled=line.enabled)
        for line in wanted
        if line.provider in present
    ]
    named = {line.provider for line in after}
    later = [line for line in current_steps(locked) if line.provider not in named]
    after += [StepState(line.provider, line.slug, line.name, enabled=False) for line in later]
    version = _write(locked, after, user=user, reason=f"Rolled back to v{number}")
    waterfall.version = locked.version
    return version


@transaction.atomic
def add_provider_to_waterfalls(provider: Provider, user: User | None) -> list[WaterfallVersion]:
    """Put ``provider`` last in the waterfall of each channel its adapter serves; twice changes nothing."""
    ensure_waterfalls(provider.workspace)
    adapter = ADAPTERS.get(provider.vendor)
    served = set(adapter.channels) if adapter else set()
    saved = []
    for channel in Channel.values:
        if channel not in served:
            continue
        locked = Waterfall.objects.select_for_update().get(
            workspace_id=provider.workspace_id, channel=channel
        )
        before = current_steps(locked)
        if provider.pk not in {line.provider for line in before}:
            version = _write(locked, [*before, StepState.of(provider, enabled=True)], user=user)
            saved.append(version)
    return [version for version in saved if version is not None]


def describe_changes(before: Sequence[StepState], after: Sequence[StepState]) -> list[str]:
    """What changed from one order to another, one plain sentence part each; empty when nothing did."""
    old = {line.provider: index for index, line in enumerate(before)}
    new = {line.provider: index for index, line in enumerate(after)}
    changes = [f"Removed {line.name}" for line in before if line.provider not in new]
    changes += [
        f"Added {line.name} at position {index + 1}"
        for index, line in enumerate(after)
        if line.provider not in old
    ]
    for line in after:
        if line.provider in old and line.enabled != before[old[line.provider]].enabled:
            changes.append(f"Turned {'on' if line.enabled else 'off'} {line.name}")
    return changes + _moves(before, after)


def moved_providers(before: Sequence[StepState], after: Sequence[StepState]) -> set[int]:
    """The fewest providers that must move to turn one order into the other."""
    old = {line.provider: index for index, line in enumerate(before)}
    common = [line.provider for line in after if line.provider in old]
    stay = _longest_rising([old[provider] for provider in common])
    return {provider for index, provider in enumerate(common) if index not in stay}


def _locked(pk: int) -> Waterfall:
    return Waterfall.objects.select_for_update().get(pk=pk)


def _named(waterfall: Waterfall, steps: Sequence[tuple[int, bool]]) -> list[StepState]:
    wanted = [provider_id for provider_id, _ in steps]
    if len(set(wanted)) != len(wanted):
        raise DomainError("A provider can be in a waterfall only once.")
    providers = Provider.objects.filter(workspace_id=waterfall.workspace_id).in_bulk(wanted)
    if len(providers) != len(wanted):
        raise DomainError("One of these providers is not connected any more. Reload the page.")
    return [StepState.of(providers[provider_id], enabled=bool(enabled)) for provider_id, enabled in steps]


def _write(
    waterfall: Waterfall, after: Sequence[StepState], *, user: User | None, reason: str = ""
) -> WaterfallVersion | None:
    """Store ``after`` as the live order of the locked ``waterfall`` and as its next version."""
    before = current_steps(waterfall)
    changes = describe_changes(before, after)
    if not changes:
        return waterfall.versions.filter(number=waterfall.version).first()
    _store_steps(waterfall, after)
    waterfall.version += 1
    waterfall.save(update_fields=["version"])
    summary = _summary([reason, *changes] if reason else changes)
    record_audit(
        workspace=waterfall.workspace,
        actor=user,
        action="waterfall.saved",
        object_label=f"{waterfall.get_channel_display()} waterfall v{waterfall.version}",
        summary=summary,
    )
    return WaterfallVersion.objects.create(
        waterfall=waterfall,
        number=waterfall.version,
        steps=[line.as_json() for line in after],
        summary=summary,
        saved_by=user,
    )


def _store_steps(waterfall: Waterfall, after: Sequence[StepState]) -> None:
    rows = {row.provider_id: row for row in waterfall.steps.all()}
    kept, fresh = [], []
    for position, line in enumerate(after, start=1):
        if (row := rows.pop(line.provider, None)) is None:
            fresh.append(
                WaterfallStep(
                    waterfall=waterfall, provider_id=line.provider, position=position, enabled=line.enabled
                )
            )
        else:
            row.position, row.enabled = position, line.enabled
            kept.append(row)
    WaterfallStep.objects.filter(pk__in=[row.pk for row in rows.values()]).delete()
    WaterfallStep.objects.bulk_update(kept, ["position", "enabled"])
    WaterfallStep.objects.bulk_create(fresh)


def _moves(before: Sequence[StepState], after: Sequence[StepState]) -> list[str]:
    old = {line.provider: index for index, line in enumerate(before)}
    common = [line for line in after if line.provider in old]
    ranks = sorted(old[line.provider] for line in common)
    moved = moved_providers(before, after)
    sentences = []
    for index, line in enumerate(common):
        if line.provider not in moved:
            continue
        went_up = index < ranks.index(old[line.provider])
        neighbour = common[index + 1] if went_up else common[index - 1]
        sentences.append(f"Moved {line.name} {'above' if went_up else 'below'} {neighbour.name}")
    return sentences


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """The indexes of one longest rising subsequence."""
    tails: list[int] = []
    tail_indexes: list[int] = []
    previous: list[int] = []
    for index, number in enumerate(numbers):
        place = bisect_left(tails, number)
        previous.append(tail_indexes[place - 1] if place else -1)
        tails[place : place + 1] = [number]
        tail_indexes[place : place + 1] = [index]
    kept: set[int] = set()
    at = tail_indexes[-1] if tail_indexes else -1
    while at >= 0:
        kept.add(at)
        at = previous[at]
    return kept


def _summary(changes: Sequence[str]) -> str:
    shown, rest = changes[:CHANGES_NAMED], len(changes) - CHANGES_NAMED
    text = ". ".join(shown) + (f". And {rest} more" if rest > 0 else "")
    return text if len(text) <= SUMMARY_LENGTH else text[: SUMMARY_LENGTH - 1] + "…"


def _conflict_message(waterfall: Waterfall) -> str:
    latest = waterfall.versions.select_related("saved_by").first()
    who = latest.saved_by.display_name if latest and latest.saved_by else "Somebody"
    return f"{who} saved v{waterfall.version} in the meantime. Nothing of yours was saved."
