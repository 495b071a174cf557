"""Keyed hashes of the people and domains that must never be looked up, and who of some leads is among them."""

import hashlib
import hmac
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from core.channels import Channel
from leads.models import ContactPoint, Lead, Suppression, SuppressionKey
from leads.text import fold

Kind = Suppression.Kind
Identifier = tuple[str, str]

_KIND_OF_CHANNEL = {
    Channel.WORK_EMAIL: Kind.EMAIL,
    Channel.PERSONAL_EMAIL: Kind.EMAIL,
    Channel.PHONE: Kind.PHONE,
    Channel.LINKEDIN_URL: Kind.LINKEDIN,
}


class Hasher:
    """Makes one workspace's hashes: HMAC-SHA256 with a random key that is stored encrypted."""

    def __init__(self, workspace_id: int) -> None:
        row = SuppressionKey.objects.filter(workspace_id=workspace_id).first()
        if row is None:
            SuppressionKey.objects.bulk_create(
                [SuppressionKey(workspace_id=workspace_id, key=secrets.token_hex(32))], ignore_conflicts=True
            )
            row = SuppressionKey.objects.get(workspace_id=workspace_id)
        self._key = bytes.fromhex(str(row.key))

    def digest(self, identifier: Identifier) -> str:
        """The hash of a (kind, normal form)."""
        kind, value = identifier
        return hmac.new(self._key, f"{kind}:{value}".encode(errors="replace"), hashlib.sha256).hexdigest()


def identifiers_of_value(channel: str, normalized: str) -> Iterator[Identifier]:
    """What a contact value may be suppressed by: itself, or an address's domain."""
    kind = _KIND_OF_CHANNEL[Channel(channel)]
    yield kind, normalized
    if kind == Kind.EMAIL:
        yield from identifiers_of_domain(normalized.rpartition("@")[2])


def identifiers_of_domain(domain: str) -> Iterator[Identifier]:
    """The domain and each domain above it: suppressing acme.com covers mail.acme.com."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        yield Kind.DOMAIN, ".".join(labels[start:])


def identifier_of_person(full_name: str, company: str) -> Identifier:
    """The last resort for a person without any address: the name at the company."""
    return Kind.PERSON, f"{fold(full_name)}|{fold(company)}"


def company_of(lead: Lead) -> str:
    """What tells this person from namesakes elsewhere."""
    return lead.company_domain or lead.company_name


def suppressed_identifiers(workspace_id: int, identifiers: Iterable[Identifier]) -> set[Identifier]:
    """Those of ``identifiers`` that are suppressed: one query when the workspace suppresses nobody, else three."""
    if not Suppression.objects.filter(workspace_id=workspace_id).exists():
        return set()
    hasher = Hasher(workspace_id)
    by_digest = {hasher.digest(identifier): identifier for identifier in set(identifiers)}
    found = Suppression.objects.filter(workspace_id=workspace_id, digest__in=list(by_digest))
    return {
        by_digest[digest]
        for kind, digest in found.values_list("kind", "digest")
        if by_digest[digest][0] == kind
    }


def identifiers_of_leads(leads: Sequence[Lead]) -> dict[int, set[Identifier]]:
    """Everything each lead may be suppressed by, retired contact points included; one query."""
    found: dict[int, set[Identifier]] = defaultdict(set)
    points = ContactPoint.objects.filter(lead__in=leads).values_list("lead_id", "channel", "normalized")
    for lead_id, channel, normalized in points:
        found[lead_id].update(identifiers_of_value(channel, normalized))
    for lead in leads:
        found[lead.pk].update(identifiers_of_domain(lead.company_domain))
        found[lead.pk].add(identifier_of_person(lead.full_name, company_of(lead)))
    return found
