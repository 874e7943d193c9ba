"""The shop's mail, and what it does when it hears of a refusal."""

import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask

from example_project import mailroom
from mailbridge_flask import Mail, Message, RecipientResult

from . import customers

logger = logging.getLogger("example_project.shop")

mail = Mail()


def deactivate(app: Flask, refused: Mapping[str, RecipientResult], **_: Any) -> None:
    """Write no more to those who are gone for good. At RCPT it was about them, not about us or the text."""
    for recipient, result in refused.items():
        if result.state == "rejected" and result.phase == "RCPT":
            customers.deactivate(recipient)


def remember(app: Flask, message: Message, refused: Mapping[str, RecipientResult], **_: Any) -> None:
    """Note who was refused, for the page and the log."""
    for recipient, result in refused.items():
        mailroom.note("Flask", message.subject, recipient, result)
        logger.info("%s was %s: %s", recipient, result.state, result.text)
