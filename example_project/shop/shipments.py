"""A batch of mail: one message that everybody gets, one with a refused recipient, one with a deferred one."""

from example_project.mailroom import FULL, GONE
from mailbridge_flask import Message

from .mail import mail

PARCELS = {
    1001: ["erin@example.org", "frank@example.org"],
    1002: ["grace@example.org", GONE],
    1003: ["heidi@example.org", FULL],
}


def send_batch() -> list[Message]:
    """Tell all customers over one connection that their parcels have left.

    Returns:
        The messages; `message.mailbridge_receipt` says of each recipient what became of it.
    """
    messages = [Message(f"Parcel {number} has left", who, "It arrives on Friday.") for number, who in PARCELS.items()]
    with mail.connect() as connection:
        for message in messages:
            connection.send(message)
    return messages
