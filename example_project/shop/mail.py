"""The shop's mail, and what it does when it hears of a refusal."""

import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask

from example_project import mailroom
from mailbridge_flask import Mail, Message, RecipientResult

logger = logging.getLogger("example_project.shop")

mail = Mail()


def remember(app: Flask, message: Message, refused: Mapping[str, RecipientResult], **_: Any) -> None:
    """Note who was refused; a real shop would stop writing to those that are gone for good."""
    for recipient, result in refused.items():
        mailroom.refusals.append(mailroom.Refusal("Flask", message.subject, recipient, result.state, str(result.reply)))
        logger.info("%s was %s: %s", recipient, result.state, result.text)
