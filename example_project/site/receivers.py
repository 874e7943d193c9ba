"""What the site does when it hears of its mail."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.mail import EmailMessage
from django.dispatch import receiver

from example_project import mailroom
from mailbridge import RecipientResult
from mailbridge_django.signals import recipients_refused

from .models import Member

logger = logging.getLogger("example_project.site")


@receiver(recipients_refused)
def deactivate(refused: Mapping[str, RecipientResult], **_: Any) -> None:
    """Write no more to those who are gone for good. At RCPT it was about them, not about us or the text."""
    gone = [who for who, result in refused.items() if result.state == "rejected" and result.phase == "RCPT"]
    Member.objects.filter(email__in=gone).update(active=False)


@receiver(recipients_refused)
def remember(message: EmailMessage, refused: Mapping[str, RecipientResult], **_: Any) -> None:
    """Note who was refused, for the page and the log."""
    for recipient, result in refused.items():
        mailroom.note("Django", str(message.subject), recipient, result)
        logger.info("%s was %s: %s", recipient, result.state, result.text)
