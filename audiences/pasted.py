"""Finds the leads that pasted e-mail addresses and LinkedIn URLs belong to."""

import re
from dataclasses import dataclass

from core.channels import Channel
from leads.models import ContactPoint
from leads.services import InvalidValue, normalize_email, normalize_linkedin
from workspaces.models import Workspace

MAX_VALUES = 5_000

_EMAIL_CHANNELS = (Channel.WORK_EMAIL, Channel.PERSONAL_EMAIL)
_BETWEEN = re.compile(r"[\s,;<>\"']+")


@dataclass(frozen=True)
class Pasted:
    """The leads of what was pasted, and the pieces that belong to none."""

    lead_ids: set[int]
    unmatched: list[str]


def find_pasted(*, workspace: Workspace, text: str) -> Pasted:
    """Look up each piece of ``text``, separated by spaces, commas or lines; a retired address still counts.

    Pieces after the first MAX_VALUES are not looked at and count as unmatched.
    """
    pieces = list(dict.fromkeys(piece for piece in _BETWEEN.split(text.replace("\0", "")) if piece))
    wanted = {piece: normal for piece in pieces[:MAX_VALUES] if (normal := _normal(piece))}
    points = ContactPoint.objects.in_workspace(workspace).filter(
        channel__in=[*_EMAIL_CHANNELS, Channel.LINKEDIN_URL], normalized__in=set(wanted.values())
    )
    leads_of: dict[str, set[int]] = {}
    for normalized, lead_id in points.values_list("normalized", "lead_id"):
        leads_of.setdefault(normalized, set()).add(lead_id)
    return Pasted(
        lead_ids=set().union(*leads_of.values()),
        unmatched=[piece for piece in pieces if wanted.get(piece) not in leads_of],
    )


def _normal(piece: str) -> str:
    try:
        return normalize_email(piece).normalized if "@" in piece else normalize_linkedin(piece)
    except InvalidValue:
        return ""
