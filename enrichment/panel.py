"""What the lead panel shows of enrichment: plain values for the templates, read in a handful of queries."""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.utils import timezone

from core.channels import Channel, mask_of
from enrichment.engine.plan import Planner
from enrichment.lead_record import LeadRecord
from enrichment.models import ChannelEnrichment, Lookup, Run, RunItem
from enrichment.services.runs import ChannelPlan, Preview, preview_enrichment
from leads.models import ContactPoint
from leads.services import is_suppressed

# The panel's own order: what reaches a person first, then the rest.
PANEL_ORDER = (Channel.WORK_EMAIL, Channel.PHONE, Channel.LINKEDIN_URL, Channel.PERSONAL_EMAIL)

# How each result reads in the middle of a line: "Hunter: no match".
RESULT_WORDS = {
    Lookup.Result.FOUND: "found",
    Lookup.Result.NOT_FOUND: "no match",
    Lookup.Result.UNUSABLE: "answered, not usable",
    Lookup.Result.ERROR: "could not answer",
    Lookup.Result.SKIPPED: "not asked",
}


@dataclass(frozen=True)
class Mark:
    """A short judgement with its icon; ``kind`` is "ok", "warn", "bad" or "plain"."""

    kind: str
    icon: str
    text: str


VERIFICATION_MARKS = {
    ContactPoint.Verification.VALID: Mark("ok", "badge-check", "Verified"),
    ContactPoint.Verification.CATCH_ALL: Mark("warn", "circle-alert", "Catch-all domain"),
    ContactPoint.Verification.RISKY: Mark("warn", "triangle-alert", "Risky"),
    ContactPoint.Verification.INVALID: Mark("bad", "circle-slash", "Invalid"),
    ContactPoint.Verification.UNKNOWN: Mark("plain", "circle-dashed", "Not verified"),
}


@dataclass(frozen=True)
class StepChip:
    """One provider in a search under way; ``state`` is "miss", "err" or "now"."""

    name: str
    state: str
    title: str = ""


@dataclass(frozen=True)
class ChannelRow:
    """One channel of the detailed profile."""

    channel: str
    label: str
    required: bool
    point: ContactPoint | None = None
    shown_value: str = ""
    href: str = ""
    mark: Mark | None = None
    text: str = ""
    searching: bool = False
    chips: tuple[StepChip, ...] = ()
    more: int = 0
    retired: ContactPoint | None = None
    earlier: tuple[ContactPoint, ...] = ()

    @property
    def copy_label(self) -> str:
        """What the copy button is called."""
        return f"Copy {self.label if self.label.startswith('LinkedIn') else self.label.lower()}"


@dataclass(frozen=True)
class AskedProvider:
    """One line under a missing channel: who, and what was said. ``state`` is a ``Lookup.Result``."""

    name: str
    state: str
    text: str
    at: datetime | None = None

    @property
    def icon(self) -> str:
        """The icon that repeats the state."""
        return _ASKED_ICONS.get(self.state, "minus")


_ASKED_ICONS = {
    Lookup.Result.FOUND: "check",
    Lookup.Result.NOT_FOUND: "x",
    Lookup.Result.UNUSABLE: "circle-slash",
    Lookup.Result.ERROR: "triangle-alert",
}


@dataclass(frozen=True)
class Gap:
    """A missing required channel, and why it is missing."""

    channel: str
    label: str
    summary: str
    providers: tuple[AskedProvider, ...]


@dataclass(frozen=True)
class RunBox:
    """An enrichment under way. ``done`` of ``possible`` providers have answered."""

    item: RunItem
    title: str
    line: str
    waiting: bool
    done: int
    possible: int
    spent: int
    at_most: int
    settled_mask: int
    stopping: bool = False

    @property
    def progress_words(self) -> str:
        """The bar as a sentence."""
        return f"{self.done} of {self.possible} providers have answered"


@dataclass(frozen=True)
class Action:
    """What can be done about the missing channels now; ``again`` asks also those that missed lately."""

    preview: Preview
    again: Preview | None
    idempotency_key: uuid.UUID

    @property
    def offer(self) -> Preview:
        """The preview that the button would start."""
        return self.again or self.preview


def channel_rows(record: LeadRecord) -> list[ChannelRow]:
    """The detailed profile: required channels first."""
    order = sorted(PANEL_ORDER, key=lambda channel: not record.lead.required_channels & channel.bit)
    return [_channel_row(record, channel) for channel in order]


def run_box(record: LeadRecord) -> RunBox | None:
    """The box of the enrichment under way; None when nothing is."""
    item = record.active_item
    if item is None:
        return None
    rows = [record.enrichments[c] for c in PANEL_ORDER if c in record.enrichments]
    pending = [row for row in rows if row.state == ChannelEnrichment.State.PENDING]
    waiting = item.state == RunItem.State.WAITING
    return RunBox(
        item=item,
        title=_run_title(item, len(pending) or len(rows)),
        stopping=item.run.state == Run.State.CANCELLED,
        line=_run_line(record, item, pending),
        waiting=waiting,
        done=sum(_answered(record, row) for row in rows),
        possible=sum(len(_asked_steps(row)) for row in rows),
        spent=sum(row.credits for row in rows),
        at_most=item.hold.reserved if item.hold else 0,
        settled_mask=mask_of(row.channel for row in rows if row.state != ChannelEnrichment.State.PENDING),
    )


def _run_title(item: RunItem, channels: int) -> str:
    if item.run.state == Run.State.CANCELLED:
        return "Stopping"
    if item.state == RunItem.State.WAITING:
        return "Waits for credits"
    return f"Enriching {_count(channels, 'channel')}"


def action_for(record: LeadRecord) -> Action:
    """What a click would do now; asks the engine's preview, and again without its memory where that blocks."""
    known = {
        "lead": record.lead,
        "points": record.points,
        "lookups": record.lookups,
        "planner": Planner.of(record.lead.workspace),
        "suppressed": bool(record.lead.missing_mask and is_suppressed([record.lead])),
    }
    preview = preview_enrichment(**known)
    again = preview_enrichment(**known, ask_again=True) if preview.blocked == "asked_recently" else None
    return Action(preview, again, uuid.uuid4())


def gaps(record: LeadRecord, preview: Preview | None) -> list[Gap]:
    """Why the lead is not full: each missing required channel with who was asked and what each said."""
    missing = set(record.lead.missing_list)
    found = []
    for channel in PANEL_ORDER:
        under_way = record.enrichments.get(channel)
        if channel in missing and (under_way is None or under_way.state != ChannelEnrichment.State.PENDING):
            found.append(_gap(record, channel, preview))
    return found


def outcome_note(record: LeadRecord) -> tuple[str, str] | None:
    """How the last enrichment ended, as (kind of note, sentence); None when it needs no words."""
    item = record.latest_item
    if item is None or item.state in RunItem.ACTIVE:
        return None
    heard = [row for row in record.lookups if row.item_id == item.pk]
    asked = {row.provider_id for row in heard if row.result != Lookup.Result.SKIPPED}
    channels = {row.channel for row in heard if row.result == Lookup.Result.FOUND}
    found = [channel.label for channel in PANEL_ORDER if channel in channels]
    spent = sum(row.credits for row in heard)
    if item.state == RunItem.State.FAILED:
        return (
            "bad",
            f"The last enrichment failed: {item.failure or 'no provider could answer'}. {_paid(spent)}",
        )
    if item.state == RunItem.State.CANCELLED:
        kept = f"{_listed(found)} found and kept." if found else "Nothing had been found yet."
        return "", f"Stopped. {kept} {_paid(spent)}"
    if not found and record.lead.missing_mask and asked:
        if all(row.result == Lookup.Result.ERROR for row in heard if row.result != Lookup.Result.SKIPPED):
            return "bad", f"{_count(len(asked), 'provider')} could not answer. Nothing was charged."
        return "", f"{_not_found(heard)}. Nothing was charged."
    if found and record.lead.missing_mask:
        return "", f"{_listed(found)} found. {_paid(spent)}"
    return None


def settled_sentences(record: LeadRecord, mask_before: int) -> list[str]:
    """What a screen reader is told about the channels that ended since ``mask_before`` was shown."""
    item = record.latest_item
    if item is None:
        return []
    rows = record.enrichments.values() or ChannelEnrichment.objects.filter(item=item).select_related(
        "provider"
    )
    sentences = []
    for row in sorted(rows, key=lambda row: PANEL_ORDER.index(Channel(row.channel))):
        if row.state == ChannelEnrichment.State.PENDING or Channel(row.channel).bit & mask_before:
            continue
        sentences.append(_settled_sentence(row))
    return sentences


def _channel_row(record: LeadRecord, channel: Channel) -> ChannelRow:
    points = [point for point in record.points if point.channel == channel]
    active = next((point for point in points if point.state == ContactPoint.State.ACTIVE), None)
    earlier = tuple(point for point in points if point is not active)
    required = bool(record.lead.required_channels & channel.bit)
    enrichment = record.enrichments.get(channel)
    if active is not None:
        return ChannelRow(
            channel.value,
            channel.label,
            required,
            point=active,
            shown_value=_shown(channel, active.value),
            href=_safe_href(channel, active.value),
            mark=VERIFICATION_MARKS.get(active.verification),
            earlier=earlier,
        )
    retired = next((point for point in earlier if point.state in RETIRED_STATES), None)
    if enrichment is not None and enrichment.state == ChannelEnrichment.State.PENDING:
        chips, more = _chips(record, enrichment)
        waiting = record.active_item is not None and record.active_item.state == RunItem.State.WAITING
        return ChannelRow(
            channel.value,
            channel.label,
            required,
            text="Waits for credits" if waiting else "Searching…",
            searching=not waiting,
            chips=() if waiting else chips,
            more=0 if waiting else more,
            retired=retired,
            earlier=earlier,
        )
    return ChannelRow(
        channel.value,
        channel.label,
        required,
        text=_absence(record, channel),
        retired=retired,
        earlier=earlier,
    )


RETIRED_STATES = (ContactPoint.State.BOUNCED, ContactPoint.State.INVALID)


def _absence(record: LeadRecord, channel: Channel) -> str:
    heard = [row for row in record.last_round(channel) if row.result != Lookup.Result.SKIPPED]
    if not heard:
        return "Not asked yet"
    if any(row.result == Lookup.Result.FOUND for row in heard):
        return "Nothing usable at the moment"
    if all(row.result == Lookup.Result.ERROR for row in heard):
        return f"{_count(len(heard), 'provider')} could not answer"
    return _not_found(heard)


def _not_found(heard: Sequence[Lookup]) -> str:
    """ "Not found at 4 providers, 1 could not answer": who could not answer did not say no."""
    silent = {row.provider_id for row in heard if row.result == Lookup.Result.ERROR}
    unheard = (Lookup.Result.ERROR, Lookup.Result.SKIPPED)
    answered = {row.provider_id for row in heard if row.result not in unheard}
    text = f"Not found at {_count(len(answered), 'provider')}"
    return f"{text}, {len(silent - answered)} could not answer" if silent - answered else text


def _asked_steps(row: ChannelEnrichment) -> list[dict]:
    return [step for step in row.plan if not step["skip"]]


def _heard(record: LeadRecord, row: ChannelEnrichment) -> dict[int, Lookup]:
    """The item's look-ups for one of its channels, by provider."""
    return {
        lookup.provider_id: lookup
        for lookup in record.lookups
        if lookup.item_id == row.item_id and lookup.channel == row.channel
    }


def _answered(record: LeadRecord, row: ChannelEnrichment) -> int:
    steps = _asked_steps(row)
    if row.state != ChannelEnrichment.State.PENDING:
        return len(steps)
    heard = _heard(record, row)
    return sum(step["provider"] in heard for step in steps)


def _chips(record: LeadRecord, row: ChannelEnrichment) -> tuple[tuple[StepChip, ...], int]:
    heard = _heard(record, row)
    steps = _asked_steps(row)
    missed = [step for step in steps if step["provider"] in heard]
    ahead = [step for step in steps if step["provider"] not in heard]
    chips = [_ended_chip(step["name"], heard[step["provider"]]) for step in missed]
    if ahead:
        chips.append(StepChip(ahead[0]["name"], "now", _doing(record, ahead[0]["provider"])))
    return tuple(chips), max(0, len(ahead) - 1)


def _ended_chip(name: str, lookup: Lookup) -> StepChip:
    state = "err" if lookup.result == Lookup.Result.ERROR else "miss"
    return StepChip(name, state, RESULT_WORDS[Lookup.Result(lookup.result)])


def _doing(record: LeadRecord, provider_id: int) -> str:
    call = record.open_calls.get(provider_id)
    if call is not None and call.retry_at is not None and call.retry_at > timezone.now():
        return f"waiting, asks again at {timezone.localtime(call.retry_at):%H:%M:%S}"
    return "being asked" if call is not None else "next"


def _run_line(record: LeadRecord, item: RunItem, pending: Sequence[ChannelEnrichment]) -> str:
    if item.state == RunItem.State.WAITING:
        return "Starts by itself as soon as enough credits are free."
    for row in pending:
        steps = _asked_steps(row)
        heard = _heard(record, row)
        ahead = [step for step in steps if step["provider"] not in heard]
        if not ahead:
            continue
        name, place = ahead[0]["name"], f"{len(steps) - len(ahead) + 1} of {len(steps)}"
        call = record.open_calls.get(ahead[0]["provider"])
        waits = call is not None and call.retry_at is not None and call.retry_at > timezone.now()
        verb = "waiting for" if waits else "asking"
        return f"{Channel(row.channel).label}: {verb} {name}, {place}"
    return "In line" if pending else "Finishing"


def _gap(record: LeadRecord, channel: Channel, preview: Preview | None) -> Gap:
    heard = record.last_round(channel)
    asked = [row for row in heard if row.result != Lookup.Result.SKIPPED]
    lines = [_asked_line(row) for row in heard]
    plan = preview.channels.get(channel.value) if preview else None
    if not asked and plan is not None:
        # The order is the workspace's, not the lead's: it is told only where it leads nowhere.
        askable = any(not step.skip for step in plan.steps)
        skipped = [AskedProvider(step.name, "skipped", f"not asked: {step.skip}") for step in plan.steps]
        lines = [] if askable else skipped
    return Gap(channel.value, channel.label, _gap_summary(record, channel, asked, plan), tuple(lines))


def _gap_summary(
    record: LeadRecord, channel: Channel, asked: Sequence[Lookup], plan: ChannelPlan | None
) -> str:
    if asked:
        return _asked_summary(asked)
    if any(point.channel == channel and point.state in RETIRED_STATES for point in record.points):
        return "The value we had was retired and nobody was asked since."
    if plan is not None and not plan.steps:
        return "No provider is connected for this channel."
    if plan is not None and all(step.skip for step in plan.steps):
        return "Nobody can be asked."
    return "Nobody was asked yet."


def _asked_summary(asked: Sequence[Lookup]) -> str:
    results = Counter(row.result for row in asked)
    many = _count(len(asked), "provider")
    if len(results) == 1 and Lookup.Result.NOT_FOUND in results:
        return f"{many} asked, none had it."
    if len(results) == 1 and Lookup.Result.ERROR in results:
        return f"{many} asked, none could answer."
    parts = [f"{results[result]} {words}" for result, words in _SUMMARY_WORDS.items() if results[result]]
    return f"{many} asked: {', '.join(parts)}."


_SUMMARY_WORDS = {
    Lookup.Result.NOT_FOUND: "had no match",
    Lookup.Result.UNUSABLE: "answered with something we cannot use",
    Lookup.Result.ERROR: "could not answer",
    Lookup.Result.FOUND: "had a value that is gone now",
}


def _asked_line(row: Lookup) -> AskedProvider:
    words = RESULT_WORDS[Lookup.Result(row.result)]
    text = f"{words}: {row.message}" if row.message else words
    return AskedProvider(row.provider.name, row.result, text, row.created_at)


def _settled_sentence(row: ChannelEnrichment) -> str:
    label = Channel(row.channel).label
    if row.state == ChannelEnrichment.State.FOUND:
        source = f" by {row.provider.name}" if row.provider else ""
        return f"{label} found{source}, {_count(row.credits, 'credit')}."
    if row.state == ChannelEnrichment.State.NOT_FOUND:
        return f"{label} not found."
    if row.state == ChannelEnrichment.State.FAILED:
        return f"{label}: the providers could not answer."
    return f"{label}: {row.get_state_display().lower()}."


def _shown(channel: Channel, value: str) -> str:
    if channel is not Channel.LINKEDIN_URL:
        return value
    return value.removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")


def _safe_href(channel: Channel, value: str) -> str:
    """The value as a link, only where it can be nothing but a LinkedIn page."""
    if channel is not Channel.LINKEDIN_URL:
        return ""
    parts = urlsplit(value if "://" in value else f"https://{value}")
    host = (parts.hostname or "").lower()
    if parts.scheme in ("https", "http") and (host == "linkedin.com" or host.endswith(".linkedin.com")):
        return f"https://{host}{parts.path}"
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _paid(credits: int) -> str:
    return f"{_count(credits, 'credit')} spent." if credits else "Nothing was charged."


def _listed(words: Iterable[str]) -> str:
    """ "A", "A and B", "A, B and C", with only the first capital kept."""
    names = [
        word if index == 0 or word.startswith("LinkedIn") else word.lower()
        for index, word in enumerate(words)
    ]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
