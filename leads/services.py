"""Changes to leads, their contact points, their timeline and the suppression list.

Lock order: the lead's row first, several in ascending id, then its contact points. ``present_channels``
and ``enriched_at`` are recomputed from the contact points in the transaction that changes them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from core.channels import Channel
from leads import suppressions
from leads.mailboxes import is_disposable, is_free_mail, is_role_address, registrable_domain
from leads.models import ContactPoint, Lead, LeadEvent, Suppression
from leads.names import PersonName, mailbox_of_another, names_agree, split_full_name
from leads.normalize import (
    InvalidValue,
    NormalizedEmail,
    NormalizedPhone,
    clean_text,
    linkedin_url,
    normalize_domain,
    normalize_email,
    normalize_linkedin,
    normalize_phone,
)
from leads.text import fold
from workspaces.models import User, Workspace
from workspaces.services import lock_workspace, record_audit

__all__ = [
    "InvalidValue",
    "NewContactPoint",
    "NormalizedEmail",
    "NormalizedPhone",
    "PersonName",
    "add_lead_events",
    "clean_text",
    "create_lead",
    "fold",
    "import_leads",
    "is_disposable",
    "is_free_mail",
    "is_role_address",
    "is_suppressed",
    "linkedin_url",
    "mailbox_of_another",
    "names_agree",
    "normalize_domain",
    "normalize_email",
    "normalize_linkedin",
    "normalize_phone",
    "record_contact_point",
    "record_contact_points",
    "refresh_present_channels",
    "registrable_domain",
    "retire_contact_point",
    "search_text_of",
    "suppress",
    "suppressed_values",
    "taken_values",
    "update_lead_details",
]

if TYPE_CHECKING:
    import uuid

    from leads.models import LeadImport

ChannelValue = tuple[str, str]

# What a person or a file supplied was not enriched, so it leaves ``enriched_at`` alone.
UNENRICHED_SOURCES = ("import", "manual")
RETIRED_STATES = (ContactPoint.State.BOUNCED, ContactPoint.State.INVALID)
DETAILS = (
    "first_name", "last_name", "full_name", "title", "seniority", "job_function", "company_name", "company_domain",
    "company_size", "industry", "city", "region", "country", "icp_score",
)  # fmt: skip
_TEXT_LENGTHS = {
    name: Lead._meta.get_field(name).max_length
    for name in DETAILS
    if name not in ("company_size", "icp_score")
}

_BITS = ", ".join(f"('{channel.value}', {channel.bit})" for channel in Channel)
# One statement for any number of leads. Their rows are locked before, so that it sees every earlier change.
_REFRESH = f"""
UPDATE leads_lead AS lead
   SET present_channels = found.mask, enriched_at = GREATEST(lead.enriched_at, found.enriched_at), updated_at = now()
  FROM leads_lead AS same
 CROSS JOIN LATERAL (
    SELECT COALESCE(bit_or(bits.bit), 0) AS mask,
           max(point.enriched_at) FILTER (WHERE point.source <> ALL (%(unenriched)s)) AS enriched_at
      FROM leads_contactpoint AS point
      JOIN (VALUES {_BITS}) AS bits(channel, bit) ON bits.channel = point.channel
     WHERE point.lead_id = same.id AND point.state = 'active'
 ) AS found
 WHERE same.id = lead.id AND lead.id = ANY (%(lead_ids)s)
   AND (lead.present_channels <> found.mask
        OR lead.enriched_at IS DISTINCT FROM GREATEST(lead.enriched_at, found.enriched_at))
"""  # noqa: S608 - only the four channels' own names and bits are put in
_SUPERSEDE = """
UPDATE leads_contactpoint AS point
   SET state = 'superseded', retired_at = %(now)s
  FROM unnest(%(lead_ids)s::bigint[], %(channels)s::text[]) AS fresh(lead_id, channel)
 WHERE point.lead_id = fresh.lead_id AND point.channel = fresh.channel AND point.state = 'active'
"""


@dataclass(frozen=True, slots=True)
class NewContactPoint:
    """A value to store. ``source`` is a provider's slug, "import" or "manual"; ``source_name`` is what people read."""

    workspace_id: int
    lead_id: int
    channel: str
    value: str
    normalized: str
    source: str
    source_name: str
    confidence: int | None = None
    verification: str = ContactPoint.Verification.UNKNOWN
    enriched_at: datetime | None = None


@transaction.atomic
def create_lead(
    *, workspace: Workspace, details: Mapping[str, Any], source: str = "manual", actor: User | None = None
) -> Lead:
    """Create a lead that requires the workspace's default channels. InvalidValue when it has no name."""
    workspace = lock_workspace(workspace=workspace)  # its default scope may be changing at this moment
    lead = Lead(workspace=workspace, required_channels=workspace.default_channels, source=source)
    _apply_details(lead, details)
    lead.save()
    add_lead_events([_event(lead, "lead.created", "Lead added", actor)])
    return lead


@transaction.atomic
def update_lead_details(*, lead: Lead, details: Mapping[str, Any], actor: User | None) -> Lead:
    """Change the named details and leave the others; returns the lead as it now is."""
    locked = Lead.objects.select_for_update(no_key=True).get(pk=lead.pk, workspace_id=lead.workspace_id)
    before = {name: getattr(locked, name) for name in DETAILS}
    _apply_details(locked, details)
    changed = [name for name in DETAILS if getattr(locked, name) != before[name]]
    if changed:
        locked.save(update_fields=[*changed, "search_text", "updated_at"])
        names = ", ".join(Lead._meta.get_field(name).verbose_name for name in changed)
        add_lead_events([_event(locked, "lead.changed", f"Changed {names}", actor)])
        locked.refresh_from_db()
    return locked


@transaction.atomic
def record_contact_point(
    *,
    lead: Lead,
    channel: str,
    value: str,
    normalized: str,
    source: str,
    source_name: str,
    confidence: int | None = None,
    verification: str = ContactPoint.Verification.UNKNOWN,
    enriched_at: datetime | None = None,
) -> ContactPoint:
    """Make ``value`` the lead's active contact point on ``channel``; an active one is superseded."""
    new = NewContactPoint(
        lead.workspace_id, lead.pk, channel, value, normalized, source, source_name, confidence, verification,
        enriched_at,
    )  # fmt: skip
    [point] = record_contact_points(points=[new])
    return point


@transaction.atomic
def record_contact_points(*, points: Sequence[NewContactPoint]) -> list[ContactPoint]:
    """Store the values, each the active one of its lead and channel; returns their rows in the same order.

    Five statements whatever the number. Of two values for one lead and channel the later one is active.
    Lead.DoesNotExist when a lead is not of the workspace its value names.
    """
    if not points:
        return []
    now = timezone.now()
    lead_ids = sorted({point.lead_id for point in points})
    workspaces = _lock_leads(lead_ids)
    if any(workspaces.get(point.lead_id) != point.workspace_id for point in points):
        raise Lead.DoesNotExist("A contact point names a lead that is not of its workspace.")
    last = {(point.lead_id, str(point.channel)): index for index, point in enumerate(points)}
    rows = [
        _contact_point(point, now, is_last=last[point.lead_id, str(point.channel)] == index)
        for index, point in enumerate(points)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _SUPERSEDE,
            {"now": now, "lead_ids": [key[0] for key in last], "channels": [key[1] for key in last]},
        )
    created = ContactPoint.objects.bulk_create(rows, batch_size=2_000)
    _refresh(lead_ids)
    return created


@transaction.atomic
def retire_contact_point(
    *, contact_point: ContactPoint, state: str, reason: str, actor: User | None
) -> ContactPoint:
    """Mark an active contact point bounced or invalid; its channel is missing again. Repeats change nothing."""
    if state not in RETIRED_STATES:
        raise ValueError(f"{state} does not retire a contact point")
    _lock_leads([contact_point.lead_id])
    point = ContactPoint.objects.select_for_update().get(pk=contact_point.pk)
    if point.state == ContactPoint.State.ACTIVE:
        point.state, point.retired_at = state, timezone.now()
        point.save(update_fields=["state", "retired_at"])
        _refresh([point.lead_id])
        text = f"{point.get_channel_display()} retired: {reason}"[:300]
        add_lead_events(
            [
                LeadEvent(
                    workspace_id=point.workspace_id,
                    lead_id=point.lead_id,
                    kind=f"contact_point.{state}",
                    text=text,
                    actor=actor,
                )
            ]
        )
    return point


@transaction.atomic
def refresh_present_channels(lead_ids: Iterable[int]) -> None:
    """Recompute ``present_channels`` and ``enriched_at`` of these leads in one UPDATE."""
    ids = sorted(set(lead_ids))
    _lock_leads(ids)
    _refresh(ids)


def import_leads(
    *, workspace: Workspace, data: bytes, file_name: str, idempotency_key: "uuid.UUID", actor: User | None
) -> "LeadImport":
    """Bring in the leads of a CSV file: people who are known are filled in where blank, the others are new.

    All good rows or, when anything breaks, none; rows that cannot be used are on the import with their line
    and reason. The same key and file again is the same import. UnreadableFile or ImportKeyReused otherwise.
    """
    from leads.imports.importing import run_import  # it stores through this module

    return run_import(
        workspace=workspace, data=data, file_name=file_name, idempotency_key=idempotency_key, actor=actor
    )


def add_lead_events(rows: Sequence[LeadEvent]) -> None:
    """Append lines to leads' timelines in one statement."""
    LeadEvent.objects.bulk_create(rows, batch_size=5_000)


@transaction.atomic
def suppress(
    *,
    workspace: Workspace,
    actor: User | None,
    reason: str = "",
    lead: Lead | None = None,
    email: str = "",
    phone: str = "",
    linkedin: str = "",
    domain: str = "",
) -> int:
    """Never look up or sync these again, here and after a re-import; the number of hashes that are new.

    A lead is suppressed by every address it ever had, or by its name and company where it has none.
    The other arguments are normalised first (InvalidValue).
    """
    wanted: set[suppressions.Identifier] = set()
    if email:
        wanted.add((Suppression.Kind.EMAIL, normalize_email(email).normalized))
    if phone:
        wanted.add((Suppression.Kind.PHONE, normalize_phone(phone).normalized))
    if linkedin:
        wanted.add((Suppression.Kind.LINKEDIN, normalize_linkedin(linkedin)))
    if domain:
        wanted.add((Suppression.Kind.DOMAIN, normalize_domain(domain)))
    if lead is not None:
        wanted |= _identifiers_to_suppress(lead)
    hasher = suppressions.Hasher(workspace.pk)
    before = workspace.suppressions.count()
    Suppression.objects.bulk_create(
        [
            Suppression(
                workspace=workspace, kind=kind, digest=hasher.digest((kind, value)), reason=reason[:200]
            )
            for kind, value in sorted(wanted)
        ],
        ignore_conflicts=True,
    )
    added = workspace.suppressions.count() - before
    if added:
        record_audit(workspace=workspace, actor=actor, action="suppression.added", hashes=added)
        if lead is not None:
            add_lead_events(
                [
                    _event(
                        lead, "lead.suppressed", f"Suppressed: {reason or 'asked not to be contacted'}", actor
                    )
                ]
            )
    return added


def is_suppressed(leads: Sequence[Lead]) -> set[int]:
    """The ids of those leads that must not be looked up, by any address, domain or name they have."""
    by_workspace: dict[int, list[Lead]] = defaultdict(list)
    for lead in leads:
        # A lead that was read ``with_suppressions`` knows already whether there is anything to compare with.
        if getattr(lead, "any_suppressions", True):
            by_workspace[lead.workspace_id].append(lead)
    found: set[int] = set()
    for workspace_id, group in by_workspace.items():
        if not Suppression.objects.filter(workspace_id=workspace_id).exists():
            continue
        identifiers = suppressions.identifiers_of_leads(group)
        hits = suppressions.suppressed_identifiers(workspace_id, set().union(*identifiers.values()))
        found |= {lead_id for lead_id, own in identifiers.items() if own & hits}
    return found


def suppressed_values(*, workspace_id: int, values: Iterable[ChannelValue]) -> set[ChannelValue]:
    """Those (channel, normalized) that are suppressed themselves or by an address's domain."""
    identifiers = {value: set(suppressions.identifiers_of_value(*value)) for value in values}
    if not identifiers:
        return set()
    hits = suppressions.suppressed_identifiers(workspace_id, set().union(*identifiers.values()))
    return {value for value, own in identifiers.items() if own & hits}


def taken_values(*, workspace_id: int, values: Iterable[ChannelValue]) -> dict[ChannelValue, set[int]]:
    """Which leads of the workspace actively have each (channel, normalized), e-mails on either e-mail channel."""
    wanted = set(values)
    emails = {normalized for channel, normalized in wanted if channel in _EMAIL_CHANNELS}
    others = defaultdict(set)
    for channel, normalized in wanted:
        if channel not in _EMAIL_CHANNELS:
            others[channel].add(normalized)
    condition = Q(channel__in=_EMAIL_CHANNELS, normalized__in=emails) if emails else Q()
    for channel, normals in others.items():
        condition |= Q(channel=channel, normalized__in=normals)
    if not condition:
        return {}
    owners: dict[ChannelValue, set[int]] = defaultdict(set)
    points = ContactPoint.objects.active().filter(condition, workspace_id=workspace_id)
    for channel, normalized, lead_id in points.values_list("channel", "normalized", "lead_id"):
        for same in _EMAIL_CHANNELS if channel in _EMAIL_CHANNELS else (channel,):
            if (same, normalized) in wanted:
                owners[same, normalized].add(lead_id)
    return dict(owners)


_EMAIL_CHANNELS = (Channel.WORK_EMAIL.value, Channel.PERSONAL_EMAIL.value)


def search_text_of(*, full_name: str, title: str, company_name: str, company_domain: str) -> str:
    """What the search box looks through for a lead."""
    return fold(" ".join(part for part in (full_name, title, company_name, company_domain) if part))


def _apply_details(lead: Lead, details: Mapping[str, Any]) -> None:
    if unknown := set(details) - set(DETAILS):
        raise ValueError(f"not a detail of a lead: {', '.join(sorted(unknown))}")
    for name, value in details.items():
        setattr(lead, name, clean_text(value, _TEXT_LENGTHS[name]) if name in _TEXT_LENGTHS else value)
    if "full_name" not in details and {"first_name", "last_name"} & set(details):
        lead.full_name = f"{lead.first_name} {lead.last_name}".strip()
    if not lead.full_name:
        raise InvalidValue("empty", "A lead needs a name.")
    if not (lead.first_name or lead.last_name):
        first, last = split_full_name(lead.full_name)
        lead.first_name, lead.last_name = first[:120], last[:120]
    lead.search_text = search_text_of(
        full_name=lead.full_name,
        title=lead.title,
        company_name=lead.company_name,
        company_domain=lead.company_domain,
    )


def _contact_point(new: NewContactPoint, now: datetime, *, is_last: bool) -> ContactPoint:
    state = ContactPoint.State.ACTIVE if is_last else ContactPoint.State.SUPERSEDED
    return ContactPoint(
        workspace_id=new.workspace_id,
        lead_id=new.lead_id,
        channel=Channel(new.channel).value,
        value=new.value,
        normalized=new.normalized,
        source=new.source,
        source_name=new.source_name,
        confidence=new.confidence,
        verification=new.verification,
        state=state,
        enriched_at=new.enriched_at or now,
        retired_at=None if is_last else now,
    )


def _lock_leads(lead_ids: Sequence[int]) -> dict[int, int]:
    """Lock the rows in ascending id; {lead id: workspace id}."""
    locked = Lead.objects.select_for_update(no_key=True).filter(pk__in=lead_ids).order_by("pk")
    return dict(locked.values_list("pk", "workspace_id"))


def _refresh(lead_ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_REFRESH, {"lead_ids": list(lead_ids), "unenriched": list(UNENRICHED_SOURCES)})


def _identifiers_to_suppress(lead: Lead) -> set[suppressions.Identifier]:
    points = ContactPoint.objects.filter(lead=lead).values_list("channel", "normalized")
    # Not the domains of the addresses: one person's wish does not silence the company.
    own = {next(suppressions.identifiers_of_value(channel, normalized)) for channel, normalized in points}
    return own or {suppressions.identifier_of_person(lead.full_name, suppressions.company_of(lead))}


def _event(lead: Lead, kind: str, text: str, actor: User | None) -> LeadEvent:
    return LeadEvent(workspace_id=lead.workspace_id, lead=lead, kind=kind, text=text[:300], actor=actor)
