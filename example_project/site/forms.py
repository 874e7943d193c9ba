"""The form to send mail from."""

import re

from django import forms
from django.core.validators import validate_email


class ComposeForm(forms.Form):
    """A mail to several recipients."""

    to = forms.CharField(label="To (several: one on each line)", widget=forms.Textarea(attrs={"rows": 4}))
    subject = forms.CharField(max_length=200)
    body = forms.CharField(label="Text", widget=forms.Textarea(attrs={"rows": 6}))

    def clean_to(self) -> list[str]:
        """Divide the addresses at commas and lines, and check each."""
        addresses = re.split(r"[,\s]+", self.cleaned_data["to"].strip())
        for address in addresses:
            validate_email(address)
        return addresses
