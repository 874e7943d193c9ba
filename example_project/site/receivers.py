"""What the site does when it hears of its mail."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.mail import EmailMessage
from django.dispatch import receiver

from example_project import mailroom
from mailbridge import RecipientResult
from mailbridge_django.signals import recipients_refused

logger = logging.getLogger("example_project.site")


@receiver(recipients_refused)
def remember(message: EmailMessage, refused: Mapping[str, RecipientResult], **_: Any) -> None:
    """Note who was refused; a real site would stop writing to those that are gone for good."""
    for recipient, result in refused.items():
        mailroom.refusals.append(
            mailroom.Refusal("Django", str(message.subject), recipient, result.state, str(result.reply))
        )
        logger.info("%s was %s: %s", recipient, result.state, result.text)
