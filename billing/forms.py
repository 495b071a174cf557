"""What admins enter about credits."""

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.validators import RegexValidator

from billing.models import Budget, LedgerEntry
from billing.services import MAX_AMOUNT

SLUG = RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Small letters, digits, - and _ only.")
HIGHEST_RATE = 100_000
HIGHEST_BUDGET = 1_000_000_000


class _Form(forms.Form):
    """No browser offers old amounts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for bound in self.visible_fields():
            bound.field.widget.attrs.setdefault("autocomplete", "off")


class GrantForm(_Form):
    """Credits to add; ``key`` was made with the form, so that sending it twice adds them once."""

    amount = forms.IntegerField(
        label="Credits",
        min_value=1,
        max_value=MAX_AMOUNT,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    note = forms.CharField(label="Note", max_length=200, required=False, help_text="Shown in the ledger.")
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "grant-%s")
        super().__init__(*args, **{"initial": {"key": uuid.uuid4()}, **kwargs})


class BudgetForm(_Form):
    """The most a month may cost, when it renews, and when to warn."""

    monthly_limit = forms.IntegerField(
        label="Credits a month",
        min_value=0,
        max_value=HIGHEST_BUDGET,
        required=False,
        help_text="Empty: no monthly limit. Lowering it stops new work, never what runs.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    renewal_day = forms.IntegerField(
        label="Renews on day",
        min_value=1,
        max_value=31,
        help_text="In a shorter month, on its last day. A change counts from the next period.",
    )
    alert_percent = forms.IntegerField(label="Alert at %", min_value=1, max_value=100)

    def __init__(self, *args: Any, budget: Budget, **kwargs: Any) -> None:
        initial = {
            "monthly_limit": budget.monthly_limit,
            "renewal_day": budget.renewal_day,
            "alert_percent": budget.alert_percent,
        }
        kwargs.setdefault("auto_id", "budget-%s")
        super().__init__(*args, **{"initial": initial, **kwargs})


class RateForm(_Form):
    """One channel's rate, and the rates of the providers that are known; empty is the channel's rate."""

    credits = forms.IntegerField(label="Every provider", min_value=0, max_value=HIGHEST_RATE)

    def __init__(
        self, *args: Any, credits: int, rates: Mapping[str, int], providers: Mapping[str, str], **kwargs: Any
    ) -> None:
        kwargs.setdefault("auto_id", "rate-%s")
        super().__init__(*args, **{"initial": {"credits": credits}, **kwargs})
        self.providers = dict(providers)
        for slug, name in self.providers.items():
            self.fields[f"provider:{slug}"] = forms.IntegerField(
                label=name,
                min_value=0,
                max_value=HIGHEST_RATE,
                required=False,
                initial=rates.get(slug),
                widget=forms.NumberInput(attrs={"placeholder": "as above", "autocomplete": "off"}),
            )
        self.fields["new_provider"] = forms.CharField(
            label="Another provider",
            max_length=60,
            required=False,
            validators=[SLUG],
            help_text="Its short name in small letters, for example hunter.",
        )
        self.fields["new_credits"] = forms.IntegerField(
            label="Its rate", min_value=0, max_value=HIGHEST_RATE, required=False
        )

    def clean(self) -> dict[str, Any]:
        """A provider and its rate come together."""
        data = super().clean()
        provider, credits = data.get("new_provider", ""), data.get("new_credits")
        if provider and credits is None and "new_credits" not in self.errors:
            self.add_error("new_credits", "How many credits?")
        if credits is not None and not provider and "new_provider" not in self.errors:
            self.add_error("new_provider", "Which provider?")
        if provider in self.providers:
            self.add_error("new_provider", "Its rate stands above.")
        return data

    def wanted(self) -> dict[str, int | None]:
        """Credits by provider slug ("" is every provider); None takes a provider's own rate away."""
        data = self.cleaned_data
        rates = {"": data["credits"]} | {slug: data[f"provider:{slug}"] for slug in self.providers}
        if data["new_provider"]:
            rates[data["new_provider"]] = data["new_credits"]
        return rates


class LedgerFilterForm(forms.Form):
    """What of the ledger is shown; anything unknown is ignored."""

    kind = forms.ChoiceField(choices=[("", "All entries"), *LedgerEntry.Kind.choices], required=False)
    holds = forms.BooleanField(required=False)
    before = forms.IntegerField(min_value=1, max_value=2**62, required=False)
    after = forms.IntegerField(min_value=0, max_value=2**62, required=False)

    def chosen(self) -> dict[str, Any]:
        """The arguments of ``ledger_page``, from whatever of the input makes sense."""
        self.is_valid()
        data = self.cleaned_data
        kind = data.get("kind", "")
        return {
            "kind": kind,
            "with_holds": bool(data.get("holds")) or kind in ("reserve", "release"),
            "before": data.get("before"),
            "after": data.get("after"),
        }
