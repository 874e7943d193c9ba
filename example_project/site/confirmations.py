"""The mail that asks a new member whether the address is theirs, and its answer."""

from django.core import signing
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.urls import reverse

from .models import Member

DAY = 86_400  # seconds


def confirmation(member: Member, request: HttpRequest) -> EmailMessage:
    """Ask a new member to follow a link."""
    link = request.build_absolute_uri(reverse("confirm", args=[signing.dumps(member.email, salt="confirm")]))
    return EmailMessage("Please confirm your address", f"Follow this link within a day:\n{link}\n", to=[member.email])


def confirm(token: str) -> bool:
    """Somebody followed the link."""
    try:
        email = signing.loads(token, salt="confirm", max_age=DAY)
    except signing.BadSignature:
        return False
    return bool(Member.objects.filter(email=email).update(confirmed=True))
