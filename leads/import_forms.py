"""What the import page asks for: a file, and the key that makes sending it twice one import."""

import uuid
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from leads.imports.reading import MAX_BYTES, MAX_ROWS


class LeadImportForm(forms.Form):
    """One CSV file. The key is made by the server with the page."""

    file = forms.FileField(
        label="CSV file",
        help_text=f"Up to {MAX_ROWS:,} rows and {MAX_BYTES // 1024 // 1024} MB. Needs a column with names.",
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        error_messages={
            "required": "Choose a file.",
            "missing": "Choose a file.",
            "invalid": "Choose a file.",
            "empty": "The file is empty.",
        },
        max_length=255,
    )
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False, initial=uuid.uuid4)

    def clean_file(self) -> UploadedFile:
        """Refuse by size before a byte is read."""
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(f"The file has more than {MAX_BYTES // 1024 // 1024} MB. Split it.")
        return file

    def clean(self) -> dict[str, Any]:
        """The key is ours; without it the page is old or made up."""
        if not self.cleaned_data.get("idempotency_key"):
            raise forms.ValidationError("Reload the page and choose the file again.")
        return self.cleaned_data
