"""What the parts of the demo share: the embedded mail server, and what the sites heard of refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


# The runner of the demo puts it here before it sends anything.
inbox: Inbox | None = None
refusals: list[Refusal] = []
