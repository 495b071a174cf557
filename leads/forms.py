"""What the leads list can be asked for in its URL."""

from typing import Any

from django import forms

from core.channels import Channel
from leads.listing import Sort
from leads.models import Lead
from workspaces.models import Workspace


class LeadListForm(forms.Form):
    """Search, filters and order, from the query string. A value that makes no sense is as if it were not there."""

    q = forms.CharField(required=False, max_length=200, label="Search leads")
    status = forms.ChoiceField(required=False, choices=[("", "Any status"), *Lead.Status.choices])
    audience = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    missing = forms.ChoiceField(
        required=False, choices=[("", "Any"), *Channel.choices], label="Missing channel"
    )
    sort = forms.CharField(required=False, max_length=20)
    imported = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)

    # Status has tabs of its own; these are shown as chips.
    CHIPS = {"audience": "Audience", "missing": "Missing", "imported": "Import"}

    def __init__(self, data: Any, *, workspace: Workspace) -> None:
        super().__init__(data, auto_id="filter-%s")
        self._workspace = workspace
        self.fields["audience"].choices = self._audiences
        self.fields["imported"].choices = self._import_named
        self.is_valid()

    def _audiences(self) -> list[tuple[Any, str]]:
        """Asked for only when a filter names one or the menu is shown, and then once."""
        if not hasattr(self, "_audience_choices"):
            named = self._workspace.audiences.values_list("pk", "name")
            self._audience_choices = [("", "Any audience"), *named]
        return self._audience_choices

    def _import_named(self) -> list[tuple[int, str]]:
        """The one import the list is narrowed to, if it is this workspace's."""
        if not hasattr(self, "_import_choices"):
            text = self.data.get("imported", "")
            known = self._workspace.lead_imports.values_list("pk", "file_name")
            readable = text.isascii() and text.isdecimal() and len(text) < 19
            self._import_choices = list(known.filter(pk=int(text))) if readable else []
        return self._import_choices

    def value(self, name: str) -> Any:
        """The cleaned value, or an empty one."""
        return self.cleaned_data.get(name) or (None if name in ("audience", "imported") else "")

    @property
    def ordering(self) -> Sort:
        """The order asked for."""
        return Sort.parse(self.value("sort"))

    @property
    def chosen_filters(self) -> list[tuple[str, str, str]]:
        """(parameter, field in words, value in words) of each filter that is shown as a chip."""
        return [
            (name, words, str(dict(self.fields[name].choices)[self.value(name)]))
            for name, words in self.CHIPS.items()
            if self.value(name)
        ]

    @property
    def beside_search(self) -> list[tuple[str, Any]]:
        """What the search box sends along unchanged."""
        return self._carried("status", "audience", "missing", "imported", "sort")

    @property
    def beside_filters(self) -> list[tuple[str, Any]]:
        """What the filter menu sends along unchanged."""
        return self._carried("q", "status", "imported", "sort")

    def _carried(self, *names: str) -> list[tuple[str, Any]]:
        return [(name, value) for name in names if (value := self.value(name))]

    @property
    def is_narrowed(self) -> bool:
        """Whether fewer than all leads are asked for."""
        return bool(self.value("q") or self.value("status") or self.chosen_filters)
