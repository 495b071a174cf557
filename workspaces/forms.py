"""The forms for signing in and for members."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from workspaces.models import Membership, User


class SignInForm(forms.Form):
    """E-mail and password; whatever is wrong with them, the answer is the same sentence."""

    username = forms.CharField(label="Email", max_length=254)
    password = forms.CharField(label="Password", max_length=1000, strip=False, widget=forms.PasswordInput)

    refusal = "Email or password is not right."

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        super().__init__(data)
        self.request = request
        self.user: User | None = None

    def clean(self) -> dict[str, Any]:
        """Find the person; behind a lock of axes no backend of ours is asked."""
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password:
            self.user = authenticate(self.request, username=username.lower(), password=password)
        if self.user is None:
            self.errors.clear()
            raise ValidationError(self.refusal)
        return self.cleaned_data


class MemberForm(forms.Form):
    """Whom to add, and as what."""

    email = forms.EmailField(label="Email", max_length=254)
    role = forms.ChoiceField(label="Role", choices=Membership.Role.choices, initial=Membership.Role.REP)


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(choices=Membership.Role.choices)
