"""Forms of the enrichment pages: the priced click, the order of a waterfall, a provider's settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict

from core.exceptions import DomainError
from core.http import validate_outbound_url
from enrichment.adapters import ADAPTERS
from enrichment.services.waterfalls import StepState

MAX_KEY_LENGTH = 500
MAX_CREDITS = 1_000_000_000


class StartEnrichmentForm(forms.Form):
    """What a click on Enrich profile sends: which click it is, and the price that was shown."""

    idempotency_key = forms.UUIDField()
    quoted = forms.IntegerField(min_value=0, max_value=MAX_CREDITS)
    ask_again = forms.BooleanField(required=False)


@dataclass(frozen=True)
class Draft:
    """A waterfall's order as a page holds it: not saved, based on version ``base_version``."""

    steps: list[StepState]
    base_version: int

    @classmethod
    def from_post(cls, data: QueryDict, live: Sequence[StepState]) -> "Draft":
        """Read the posted order against the ``live`` one.

        Providers the page did not know keep their place at the end; ids that are not in the waterfall
        are dropped. So a draft always names exactly the live providers, each once.
        """
        by_id = {step.provider: step for step in live}
        order = dict.fromkeys(_ids(data.getlist("order")))
        on = set(_ids(data.getlist("on")))
        known = [by_id[provider] for provider in order if provider in by_id]
        steps = [StepState(s.provider, s.slug, s.name, s.provider in on) for s in known]
        steps += [step for step in live if step.provider not in order]
        base = data.get("base_version", "")
        return cls(steps, int(base) if base.isascii() and base.isdigit() and len(base) < 10 else 0)

    def moved(self, command: str) -> "Draft":
        """Apply a move: "12:up", "12:down" or "12:3" (to position 3); anything else changes nothing."""
        provider_text, _, where = command.partition(":")
        ids = [step.provider for step in self.steps]
        provider = next(iter(_ids([provider_text])), None)
        if provider not in ids:
            return self
        at = ids.index(provider)
        targets = {"up": at - 1, "down": at + 1}
        target = targets.get(where, next(iter(_ids([where])), at + 1) - 1)
        target = max(0, min(len(ids) - 1, target))
        steps = list(self.steps)
        steps.insert(target, steps.pop(at))
        return Draft(steps, self.base_version)

    def as_pairs(self) -> list[tuple[int, bool]]:
        """What ``save_waterfall`` takes."""
        return [(step.provider, step.enabled) for step in self.steps]


class ProviderSettingsForm(forms.Form):
    """What can be changed about a provider without its key."""

    name = forms.CharField(max_length=80, label="Name")
    base_url = forms.CharField(
        max_length=300,
        required=False,
        label="Address of the API",
        help_text="Leave empty for the vendor's own.",
    )
    timeout_seconds = forms.IntegerField(
        min_value=1, max_value=120, label="Seconds to wait for an answer", initial=15
    )
    recheck_days = forms.IntegerField(
        min_value=0,
        max_value=3650,
        label="Days before a miss is asked again",
        initial=30,
        help_text="0 asks again each time.",
    )

    def clean_base_url(self) -> str:
        """Only an address that may be called from here."""
        url = self.cleaned_data["base_url"].strip()
        if not url:
            return ""
        try:
            return validate_outbound_url(url, allow_private=settings.ALLOW_PRIVATE_HOSTS).rstrip("/")
        except DomainError as error:
            raise forms.ValidationError(error.message) from error


class CredentialsForm(forms.Form):
    """A vendor's credentials; what was typed is never put back into the page."""

    def __init__(self, vendor: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        adapter = ADAPTERS[vendor]
        for name, label in adapter.credential_fields:
            self.fields[name] = forms.CharField(
                label=label,
                max_length=MAX_KEY_LENGTH,
                widget=forms.PasswordInput(
                    render_value=False,
                    attrs={"autocomplete": "off", "spellcheck": "false", "class": "input mono-font"},
                ),
            )

    def clean(self) -> dict[str, Any]:
        """Keys travel in headers: nothing that is not a visible ASCII character."""
        cleaned = super().clean() or {}
        for name, value in list(cleaned.items()):
            if not (value.isascii() and value.isprintable()) or " " in value:
                self.add_error(name, "A key has no spaces and only plain characters.")
        return cleaned


def _ids(values: Sequence[str]) -> list[int]:
    return [int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 19]
