"""Judges candidates for one lead: the pure rules of ``usability`` with what the database knows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from core.channels import Channel
from enrichment.adapters.base import Candidate
from enrichment.usability import Known, LeadFacts, Policy, Verdict, judge
from leads import services as lead_services
from leads.models import ContactPoint, Lead

ChannelValue = tuple[str, str]
# Refusals that hold whatever a later provider says of the same value; the others may be judged afresh.
LASTING_REFUSALS = ("invalid", "other_person", "refused_before")
RETIRED = (ContactPoint.State.BOUNCED, ContactPoint.State.INVALID)


class LeadJudge:
    """Says whether a candidate is usable for one lead. ``mark_taken`` has to have seen the candidates before."""

    def __init__(self, lead: Lead, points: Iterable[ContactPoint], refused: set[ChannelValue]) -> None:
        self.lead = lead
        self.facts = LeadFacts(
            first_name=lead.first_name,
            last_name=lead.last_name,
            full_name=lead.full_name,
            company_name=lead.company_name,
            company_domain=lead.company_domain,
            country=lead.country,
        )
        self.policy = Policy.from_settings(lead.workspace.settings)
        self.retired = {(point.channel, point.normalized) for point in points if point.state in RETIRED}
        self.refused = refused
        self.taken: set[ChannelValue] = set()
        self.suppressed: set[ChannelValue] = set()

    def __call__(self, candidate: Candidate) -> Verdict:
        """Judge one candidate; one that is refused is recognised when the next provider offers it too."""
        known = Known(
            retired=self.retired, refused=self.refused, taken=self.taken, suppressed=self.suppressed
        )
        verdict = judge(candidate, self.facts, self.policy, known)
        if verdict.reason_code in LASTING_REFUSALS and verdict.normalized:
            self.refused.add((candidate.channel, verdict.normalized))
        return verdict


def mark_taken(answers: Sequence[tuple[LeadJudge, Sequence[Candidate]]]) -> None:
    """Look up, for many answers at once, which values other leads have and which are suppressed."""
    wanted: dict[int, dict[ChannelValue, list[LeadJudge]]] = defaultdict(lambda: defaultdict(list))
    for lead_judge, candidates in answers:
        for candidate in candidates:
            if normalized := _normal_form(candidate.channel, candidate.value, lead_judge.lead.country):
                wanted[lead_judge.lead.workspace_id][candidate.channel, normalized].append(lead_judge)
    for workspace_id, values in wanted.items():
        owners = lead_services.taken_values(workspace_id=workspace_id, values=values)
        hidden = lead_services.suppressed_values(workspace_id=workspace_id, values=values)
        for value, judges in values.items():
            for lead_judge in judges:
                if owners.get(value, set()) - {lead_judge.lead.pk}:
                    lead_judge.taken.add(value)
                if value in hidden:
                    lead_judge.suppressed.add(value)


@lru_cache(maxsize=4_096)
def _normal_form(channel: str, value: str, country: str) -> str:
    """The value as contact points store it, "" when it is malformed (judging says why)."""
    try:
        if channel == Channel.PHONE:
            return lead_services.normalize_phone(value, country).normalized
        if channel == Channel.LINKEDIN_URL:
            return lead_services.normalize_linkedin(value)
        return lead_services.normalize_email(value).normalized
    except lead_services.InvalidValue:
        return ""
