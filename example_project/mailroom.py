"""What the parts of the demo share: the embedded mail server, and what the sites heard of refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailbridge import RecipientResult
    from mailbridge.testing import Inbox

# Whom the embedded server turns away: for good, and for now.
GONE = "gone@example.org"
FULL = "full@example.org"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient whom the server turned away, as a receiver heard of it."""

    app: str
    subject: str
    recipient: str
    state: str
    reply: str
    heard_at: datetime = field(default_factory=partial(datetime.now, UTC))


# The runner of the demo puts it here before it sends anything.
inbox: Inbox | None = None
refusals: list[Refusal] = []


def note(app: str, subject: str, recipient: str, result: RecipientResult) -> None:
    """A receiver heard of a refusal."""
    refusals.append(Refusal(app, subject, recipient, result.state, str(result.reply)))
