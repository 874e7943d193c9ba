"""The forms: one to sign up with, one to invite others."""

import re

from django import forms
from django.core.validators import validate_email

from .models import Member


class SignUpForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs, not in Django
    """An address is all that it takes."""

    class Meta:
        """The rest of a member has its defaults."""

        model = Member
        fields = ("email",)


class InviteForm(forms.Form):
    """A mail to many."""

    to = forms.CharField(label="To, one address on each line", widget=forms.Textarea(attrs={"rows": 5}))
    subject = forms.CharField(max_length=200)
    body = forms.CharField(label="Text", widget=forms.Textarea(attrs={"rows": 4}))

    def clean_to(self) -> list[str]:
        """Divide the addresses at commas and lines, and check each."""
        addresses = re.split(r"[,\s]+", self.cleaned_data["to"].strip())
        for address in addresses:
            validate_email(address)
        return addresses
