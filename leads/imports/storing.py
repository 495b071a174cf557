"""Stores checked rows: people the workspace knows are filled in where blank, the others become new leads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils import timezone

from core.channels import Channel, mask_of
from leads import services, suppressions
from leads.imports.rows import ParsedRow, RowRefused
from leads.mailboxes import is_role_address
from leads.models import ContactPoint, Lead, LeadEvent, LeadImport
from leads.names import PersonName, names_agree
from workspaces.models import Workspace

SOURCE, SOURCE_NAME = "import", "Import"
# Rows that are looked up and written together: what a file takes of memory does not grow with its length.
BATCH = 2_000
_EMAILS = (Channel.WORK_EMAIL.value, Channel.PERSONAL_EMAIL.value)
_FILLED = (*services.DETAILS, "search_text")

_FIND = """
SELECT channel = 'linkedin_url', normalized, min(lead_id)
  FROM leads_contactpoint
 WHERE workspace_id = %(workspace)s
   AND (channel IN ('work_email', 'personal_email') AND normalized = ANY (%(emails)s::text[])
        OR channel = 'linkedin_url' AND normalized = ANY (%(profiles)s::text[]))
 GROUP BY 1, 2
"""
_TYPES = {"company_size": "int", "icp_score": "smallint"}
_FILL_IN = f"""
UPDATE leads_lead AS lead
   SET {", ".join(f"{name} = filled.{name}" for name in _FILLED)}, updated_at = now()
  FROM unnest(%s::bigint[], {", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in _FILLED)})
       AS filled(id, {", ".join(_FILLED)})
 WHERE lead.id = filled.id
"""  # noqa: S608 - column names of our own

_NAMESAKES = """
SELECT id, full_name, company_domain, company_name
  FROM leads_lead
 WHERE workspace_id = %(workspace)s AND full_name = ANY (%(names)s::text[])
 ORDER BY id
"""
# What tells these apart also tells two people of one name at one company apart.
_TELLING = (Channel.LINKEDIN_URL.value, Channel.WORK_EMAIL.value)

# ("linkedin", profile), ("email", address) or ("person", name and company): rows with one in common are about
# the same person; the last only where nothing speaks against it.
Key = tuple[str, str]


@dataclass(slots=True)
class Person:
    """Who a row is about: a lead that exists, or one to be made of the rows that name it."""

    lead: Lead
    contacts: dict[str, str]
    retired: set[tuple[str, str]] = field(default_factory=set)
    added: dict[str, tuple[str, str]] = field(default_factory=dict)
    filled: bool = False

    @property
    def name(self) -> PersonName:
        """The name to compare with."""
        return PersonName(self.lead.first_name, self.lead.last_name, self.lead.full_name)


@dataclass
class Storing:
    """A batch of rows, the people they are about and what became of each; the workspace is locked."""

    workspace: Workspace
    lead_import: LeadImport
    people: dict[Key, Person] = field(default_factory=dict)
    known: dict[int, Person] = field(default_factory=dict)
    new: list[Person] = field(default_factory=list)
    suppressed: set[int] = field(default_factory=set)

    def load(self, rows: Sequence[ParsedRow]) -> None:
        """Find the leads that the rows may be about: six queries whatever the number of rows."""
        keys = {key for row in rows for key in keys_of(row)}
        owners = self._owners(keys)
        leads = Lead.objects.select_for_update(no_key=True).filter(
            workspace=self.workspace, pk__in=sorted(set(owners.values()))
        )
        self.known = {lead.pk: Person(lead, {}) for lead in leads.order_by("pk")}
        points = ContactPoint.objects.filter(lead_id__in=list(self.known))
        for lead_id, channel, normalized, state in points.values_list(
            "lead_id", "channel", "normalized", "state"
        ):
            if state == ContactPoint.State.ACTIVE:
                self.known[lead_id].contacts[channel] = normalized
            elif state in services.RETIRED_STATES:
                self.known[lead_id].retired.add((channel, normalized))
        self.people = {key: self.known[lead_id] for key, lead_id in owners.items()}
        self.suppressed = _suppressed_lines(self.workspace, rows)

    def take(self, row: ParsedRow) -> str:
        """Merge one row; "created", "updated" or "unchanged". RowRefused when it must not come in."""
        if row.line in self.suppressed:
            raise RowRefused("This person or company is suppressed and stays out.")
        person = self._match(row)
        is_new = person is None
        if person is None:
            person = Person(Lead(workspace=self.workspace), {})
            self.new.append(person)
        changed = self._add_contacts(person, row)
        changed |= _fill(person.lead, {**row.details, "company_domain": self._domain(person, row)})
        person.filled |= changed
        for key in keys_of(row):
            self.people.setdefault(key, person)
        return "created" if is_new else "updated" if changed else "unchanged"

    def _domain(self, person: Person, row: ParsedRow) -> str:
        email = row.contacts.get(Channel.WORK_EMAIL.value, ("", ""))[1]
        is_theirs = self.people.get(("email", email), person) is person
        return row.details["company_domain"] or (row.domain_of_email if is_theirs else "")

    def _match(self, row: ParsedRow) -> Person | None:
        theirs = PersonName(row.details["first_name"], row.details["last_name"], row.details["full_name"])
        for kind, value in keys_of(row):
            person = self.people.get((kind, value))
            if person is None or (kind == "person" and _contradicts(person, row)):
                continue
            if kind == "email" and names_agree(person.name, theirs) is False:
                raise RowRefused(f"This e-mail address already belongs to {person.lead.full_name}.")
            return person
        return None

    def _add_contacts(self, person: Person, row: ParsedRow) -> bool:
        added = False
        for channel, (display, normalized) in row.contacts.items():
            if channel in person.contacts or normalized in person.contacts.values():
                continue
            if (channel, normalized) in person.retired:
                row.warnings.append(f"{Channel(channel).label} left out: {display} was retired before.")
                continue
            owner = self.people.get(_key_of(channel, normalized), person)
            if owner is not person:
                row.warnings.append(
                    f"{Channel(channel).label} left out: it belongs to {owner.lead.full_name}."
                )
                continue
            person.contacts[channel] = normalized
            person.added[channel] = (display, normalized)
            added = True
        return added

    def write(self, actor_id: int | None) -> None:
        """Write everything that was taken, in a fixed number of statements."""
        for person in self.new:
            lead = person.lead
            lead.last_import, lead.source = self.lead_import, SOURCE
            lead.required_channels = self.workspace.default_channels
            lead.present_channels = mask_of(person.added)  # as it will be found when its points are there
        Lead.objects.bulk_create([person.lead for person in self.new])
        changed = [person for person in self.known.values() if person.filled]
        _fill_in([person.lead for person in changed])
        Lead.objects.filter(pk__in=list(self.known)).update(last_import=self.lead_import)
        now = timezone.now()
        everybody = [*changed, *self.new]
        services.record_contact_points(
            points=[
                services.NewContactPoint(
                    self.workspace.pk,
                    person.lead.pk,
                    channel,
                    display,
                    normalized,
                    SOURCE,
                    SOURCE_NAME,
                    enriched_at=now,
                )
                for person in everybody
                for channel, (display, normalized) in person.added.items()
            ]
        )
        services.add_lead_events(list(self._events(changed, actor_id)))

    def _events(self, changed: Sequence[Person], actor_id: int | None) -> Iterator[LeadEvent]:
        name = self.lead_import.file_name
        for people, kind, text in (
            (self.new, "lead.imported", f"Imported from {name}"),
            (changed, "lead.filled_in", f"Filled in from {name}"),
        ):
            for person in people:
                yield LeadEvent(
                    workspace=self.workspace, lead=person.lead, kind=kind, text=text[:300], actor_id=actor_id
                )

    def _owners(self, keys: set[Key]) -> dict[Key, int]:
        values = {
            "workspace": self.workspace.pk,
            "emails": [value for kind, value in keys if kind == "email"],
            "profiles": [value for kind, value in keys if kind == "linkedin"],
        }
        names = list({value.partition("|")[0] for kind, value in keys if kind == "person"})
        with connection.cursor() as cursor:
            cursor.execute(_FIND, values)
            owners: dict[Key, int] = {
                ("linkedin" if is_profile else "email", value): lead
                for is_profile, value, lead in cursor.fetchall()
            }
            cursor.execute(_NAMESAKES, {"workspace": self.workspace.pk, "names": names})
            for lead, name, domain, company in cursor.fetchall():
                for key in _person_keys(name, domain, company):
                    if key in keys:
                        owners.setdefault(key, lead)
        return owners


def keys_of(row: ParsedRow) -> list[Key]:
    """What identifies the row's person, surest first; a team's mailbox identifies nobody."""
    keys = [
        _key_of(channel, row.contacts[channel][1])
        for channel in ("linkedin_url", *_EMAILS)
        if channel in row.contacts
    ]
    keys = [key for key in keys if key[0] == "linkedin" or not is_role_address(key[1].rpartition("@")[0])]
    domain = row.details["company_domain"] or row.domain_of_email
    return keys + _person_keys(row.details["full_name"], domain, row.details["company_name"])


def _person_keys(name: str, domain: str, company: str) -> list[Key]:
    where = [f"domain {domain}"] if domain else []
    where += [f"company {company.casefold()}"] if company else []
    return [("person", f"{name.replace('|', ' ')}|{place}") for place in where]


def _contradicts(person: Person, row: ParsedRow) -> bool:
    """Whether something on both sides differs that one person has only one of."""
    pairs = [(person.contacts.get(channel), row.contacts.get(channel, ("", ""))[1]) for channel in _TELLING]
    pairs.append((person.lead.company_domain, row.details["company_domain"] or row.domain_of_email))
    return any(mine and theirs and mine != theirs for mine, theirs in pairs)


def _key_of(channel: str, normalized: str) -> Key:
    if channel == Channel.LINKEDIN_URL:
        return "linkedin", normalized
    return ("email" if channel in _EMAILS else channel), normalized


def _fill(lead: Lead, details: dict[str, Any]) -> bool:
    """Set what is blank on ``lead``; whether anything was."""
    blank = [
        name
        for name, value in details.items()
        if value not in ("", None) and getattr(lead, name) in ("", None)
    ]
    for name in blank:
        setattr(lead, name, details[name])
    if blank:
        lead.search_text = services.search_text_of(
            full_name=lead.full_name,
            title=lead.title,
            company_name=lead.company_name,
            company_domain=lead.company_domain,
        )
    return bool(blank)


def _fill_in(leads: Sequence[Lead]) -> None:
    if leads:
        columns = [[getattr(lead, name) for lead in leads] for name in _FILLED]
        with connection.cursor() as cursor:
            cursor.execute(_FILL_IN, [[lead.pk for lead in leads], *columns])


def _suppressed_lines(workspace: Workspace, rows: Sequence[ParsedRow]) -> set[int]:
    if not workspace.suppressions.exists():
        return set()
    identifiers = {row.line: set(_identifiers(row)) for row in rows}
    hits = suppressions.suppressed_identifiers(workspace.pk, set().union(*identifiers.values()))
    return {line for line, own in identifiers.items() if own & hits}


def _identifiers(row: ParsedRow) -> Iterator[suppressions.Identifier]:
    for channel, (_, normalized) in row.contacts.items():
        yield from suppressions.identifiers_of_value(channel, normalized)
    yield from suppressions.identifiers_of_domain(row.details["company_domain"])
    company = row.details["company_domain"] or row.details["company_name"]
    yield suppressions.identifier_of_person(row.details["full_name"], company)
