"""Template tags for the components of the interface."""

import math
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django import template
from django.template import Context
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.channels import Channel, channels_in
from core.htmx import include_view

register = template.Library()

MINUS = "\u2212"
CHANNEL_ICONS = {
    Channel.WORK_EMAIL: "briefcase",
    Channel.PERSONAL_EMAIL: "at-sign",
    Channel.PHONE: "phone",
    Channel.LINKEDIN_URL: "linkedin",
}
STATUS_WORDS = {
    "full": "Full",
    "partial": "Partial",
    "empty": "Empty",
    "running": "Running",
    "waiting": "Waiting",
}
RUNNING_STATES = {"admitted", "running"}

EVERYONE, REPS, ADMINS = "viewer", "rep", "admin"
# (group, [(URL name, words, icon, for whom at least)]): the sidebar, in order.
NAVIGATION = [
    (
        "",
        [
            ("leads:lead_list", "Leads", "users", EVERYONE),
            ("audiences:audience_list", "Audiences", "target", EVERYONE),
            ("leads:lead_import", "Import", "upload", REPS),
        ],
    ),
    (
        "Enrichment",
        [
            ("enrichment:waterfall", "Waterfalls", "workflow", EVERYONE),
            ("enrichment:provider_list", "Providers", "plug", ADMINS),
        ],
    ),
    (
        "Workspace",
        [
            ("billing:overview", "Billing", "credit-card", ADMINS),
            ("workspaces:member_list", "Members", "user-cog", ADMINS),
            ("workspaces:audit_log", "Audit log", "scroll-text", ADMINS),
        ],
    ),
]


# Icons and small marks ---------------------------------------------------------------------------


@register.simple_tag
@cache
def icon(name: str, extra: str = "") -> SafeString:
    """One icon of the sprite, hidden from screen readers; ``extra`` adds classes ("s14", "spin")."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        extra,
        static("ui/icons.svg"),
        name,
    )


@register.simple_tag
def channel_icon(channel: str, extra: str = "") -> SafeString:
    """The icon of one of the four channels."""
    return icon(CHANNEL_ICONS[Channel(channel)], extra)


@register.filter
def channel_label(channel: str) -> str:
    """The words for a channel: "Work email"."""
    return str(Channel(channel).label)


@register.simple_tag
def spinner() -> SafeString:
    """A turning quarter arc, for places where something runs; say it in words beside it."""
    return _circle("running")


@register.simple_tag
def avatar(name: str, size: str = "") -> SafeString:
    """A person's initials in a circle; ``size`` is "" or "large"."""
    words = name.split()
    initials = "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
    return format_html(
        '<span class="avatar {} hue-{}" aria-hidden="true">{}</span>', size, hue(name), initials[:2]
    )


@register.simple_tag
def monogram(name: str, size: str = "") -> SafeString:
    """The first letter of a company or provider in a square; ``size`` is "", "tiny" or "big"."""
    return format_html(
        '<span class="monogram {} hue-{}" aria-hidden="true">{}</span>',
        size,
        hue(name),
        name.strip()[:1].upper(),
    )


def hue(name: str) -> int:
    """One of the seven hues, the same for the same name everywhere."""
    return sum(map(ord, name)) % 7 + 1


@register.simple_tag
def bar(value: float, total: float, label: str, fill: str = "accent", height: int = 5) -> SafeString:
    """A meter of ``value`` out of ``total``; ``label`` is the whole sentence a screen reader hears."""
    share = min(max(value / total, 0), 1) if total else 0
    return format_html(
        '<svg class="meter" height="{height}" role="img" aria-label="{label}">'
        '<rect class="fill-track" width="100%" height="{height}" rx="{radius}"></rect>'
        '<rect class="fill-{fill}" width="{width}%" height="{height}" rx="{radius}"></rect></svg>',
        height=height,
        label=label,
        radius=f"{height / 2:g}",
        fill=fill,
        width=f"{share * 100:.2f}",
    )


# Status ------------------------------------------------------------------------------------------


def shown_status(lead: Any) -> str:
    """What the circle of ``lead`` shows: a run in progress goes before the status it will change.

    The run is known where the queryset annotated ``live_state``; elsewhere the stored status is shown.
    """
    live_state = getattr(lead, "live_state", None)
    if live_state in RUNNING_STATES:
        return "running"
    return "waiting" if live_state == "waiting" else str(lead.status)


def required_counts(lead: Any) -> tuple[int, int]:
    """(required channels that are present, required channels)."""
    present = lead.required_channels & lead.present_channels
    return present.bit_count(), lead.required_channels.bit_count()


@register.simple_tag
def status(lead: Any) -> SafeString:
    """The status circle with its word, as it stands in a table."""
    state = shown_status(lead)
    present, required = required_counts(lead)
    of = format_html(' <span class="of">{}/{}</span>', present, required) if state == "partial" else ""
    return format_html(
        '<span class="status {}">{}<span class="word">{}{}</span></span>',
        state,
        _circle(state, present, required),
        STATUS_WORDS[state],
        of,
    )


@register.simple_tag
def status_pill(lead: Any) -> SafeString:
    """The status as a tinted pill: "Partial · 2 of 3 required"."""
    state = shown_status(lead)
    present, required = required_counts(lead)
    words = {
        "running": f"Enriching · {present} of {required} required",
        "waiting": f"Waits for credits · {present} of {required} required",
    }.get(state, f"{STATUS_WORDS[state]} · {present} of {required} required")
    return format_html(
        '<span class="pill {}">{}<span>{}</span></span>', state, _circle(state, present, required), words
    )


@register.simple_tag
def status_circle(state: str) -> SafeString:
    """Only the circle of a state ("full", "partial", "empty"), for use beside the word."""
    return format_html('<span class="status {}">{}</span>', state, _circle(state, 1, 2))


@register.filter
def status_word(lead: Any) -> str:
    """The word of a lead's circle."""
    return STATUS_WORDS[shown_status(lead)]


@cache
def _circle(state: str, present: int = 0, required: int = 1) -> SafeString:
    if state == "waiting":
        return icon("hourglass", "s14")
    if state == "running":
        return format_html(
            '<svg class="circle running spin" viewBox="0 0 14 14" aria-hidden="true">'
            '<circle class="track" cx="7" cy="7" r="5.6"></circle>'
            '<path class="arc" d="{}"></path></svg>',
            "M7 1.4A5.6 5.6 0 0 1 12.6 7",
        )
    if state == "full":
        return format_html(
            '<svg class="circle" viewBox="0 0 14 14" aria-hidden="true">'
            '<circle class="disc" cx="7" cy="7" r="6.5"></circle><path class="tick" d="{}"></path></svg>',
            "m4.2 7.2 2 2 3.6-4.1",
        )
    if state == "partial":
        return format_html(
            '<svg class="circle" viewBox="0 0 14 14" aria-hidden="true">'
            '<circle class="ring" cx="7" cy="7" r="5.7"></circle><path class="pie" d="{}"></path></svg>',
            _pie(present / required),
        )
    return format_html(
        '<svg class="circle" viewBox="0 0 14 14" aria-hidden="true">{}</svg>',
        format_html('<circle class="ring" cx="7" cy="7" r="{}"></circle>', "5.75"),
    )


def _pie(share: float) -> str:
    angle = 2 * math.pi * share
    x, y = 7 + 3.6 * math.sin(angle), 7 - 3.6 * math.cos(angle)
    return f"M7 7V3.4A3.6 3.6 0 {int(share > 0.5)} 1 {x:.2f} {y:.2f}Z"


# Channel marks -----------------------------------------------------------------------------------


@register.simple_tag
def channel_marks(lead: Any) -> SafeString:
    """Four tiles, always in the same order, and one sentence that says the same to a screen reader.

    Bounced channels are known where the queryset prefetched ``bounced_points``.
    """
    bounced = {point.channel for point in getattr(lead, "bounced_points", ())}
    present = set(channels_in(lead.present_channels))
    sought = set(channels_in(lead.required_channels & ~lead.present_channels))
    running = shown_status(lead) == "running"

    def state(channel: Channel) -> str:
        if channel in present:
            return "found"
        if running and channel in sought:
            return "searching"
        return "bounced" if channel in bounced else "missing"

    return _marks(tuple(state(channel) for channel in Channel))


@cache
def _marks(words: tuple[str, ...]) -> SafeString:
    """The tiles for one combination of states: few enough to keep, and a list shows fifty of them."""
    states = list(zip(Channel, words, strict=True))
    tiles = format_html_join(
        "",
        '<span class="mark {}" title="{}: {}">{}</span>',
        ((word, channel.label, word, channel_icon(channel)) for channel, word in states),
    )
    sentence = ", ".join(f"{channel.label} {word}" for channel, word in states)
    return format_html(
        '<span class="marks" aria-hidden="true">{}</span><span class="sr">{}</span>', tiles, sentence
    )


# Numbers and times -------------------------------------------------------------------------------


@register.filter
def number(value: float | None) -> str:
    """Thousands separated, with a true minus: "1,840", "−12". Nothing becomes an en dash."""
    if value is None:
        return "\u2013"
    return f"{value:,}".replace("-", MINUS)


@register.filter
def signed(value: int) -> str:
    """A change: "+12", "−12", "0"."""
    return f"+{value:,}" if value > 0 else number(value)


@register.filter
def credits(value: int | None) -> str:
    """An amount in words: "12 credits", "1 credit"."""
    return f"{number(value)} credit{'' if value in (1, -1) else 's'}"


@register.filter
def percent(value: float, total: float) -> str:
    """``value`` as a share of ``total``, without decimals; never rounds to 0% or 100% what is not."""
    if not total:
        return "0%"
    share = 100 * value / total
    if 0 < share < 1:
        return "under 1%"
    return f"{math.floor(share) if share > 99 and value != total else round(share)}%"


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, in short: "just now", "12 min", "5 h", "3 d", then the date. Full time in the title."""
    if moment is None:
        return format_html('<span aria-hidden="true">\u2013</span><span class="sr">{}</span>', "never")
    return _time(moment, _age(moment))


@register.filter
def since(moment: datetime | None) -> SafeString | str:
    """As ``ago``, for running text: "12 min ago", "3 Nov"."""
    if moment is None:
        return "never"
    words = _age(moment)
    return _time(moment, f"{words} ago" if words.endswith((" min", " h", " d")) else words)


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """A date and time of day: "12 Nov, 09:41"."""
    if moment is None:
        return "never"
    local = timezone.localtime(moment)
    return _time(moment, f"{_date(local)}, {local:%H:%M}")


def _age(moment: datetime) -> str:
    age = timezone.now() - moment
    if age < timedelta(minutes=1):
        return "just now"
    if age < timedelta(hours=1):
        return f"{age.seconds // 60} min"
    if age < timedelta(days=1):
        return f"{age.seconds // 3600} h"
    return f"{age.days} d" if age <= timedelta(days=7) else _date(timezone.localtime(moment))


def _date(local: datetime) -> str:
    year = "" if local.year == timezone.localtime().year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


def _time(moment: datetime, words: str) -> SafeString:
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{local.day} {local:%B %Y, %H:%M %Z}",
        words,
    )


# Pages -------------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def fragment(context: Context, url_name: str, *args: object) -> SafeString:
    """Another view's fragment, rendered for this viewer: how a page shows what an app above its own knows."""
    return include_view(context["request"], url_name, *args)


@register.simple_tag(takes_context=True)
def query(context: Context, path: str = "", **changes: object) -> str:
    """``path`` with the page's query string, some parameters set, or dropped where the value is empty.

    Without a path it is the query string alone, "?" if nothing is left of it.
    """
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"{path}?{parameters.urlencode()}" if parameters or not path else path


@register.inclusion_tag("ui/nav.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    """The sidebar's links: those the viewer's role may use, with the current page marked."""
    membership, path = context.get("membership"), context["request"].path
    allowed = {EVERYONE}
    if membership is not None:
        # A rep and an admin may use what the weaker roles may.
        allowed |= {"rep": {REPS}, "admin": {REPS, ADMINS}}.get(membership.role, set())
    groups = [
        (
            title,
            [
                {"url": reverse(name), "words": words, "icon": icon_name}
                for name, words, icon_name, least in links
                if least in allowed
            ],
        )
        for title, links in NAVIGATION
    ]
    matching = [link["url"] for _, links in groups for link in links if path.startswith(link["url"])]
    return {
        "groups": [group for group in groups if group[1]],
        "current": max(matching, key=len, default=""),
    }
