"""A batch of mail: one message that everybody gets, one with a refused recipient, one with a deferred one."""

from django.core import mail
from django.core.mail import EmailMessage

from example_project.mailroom import FULL, GONE

GUESTS = (
    ["ann@example.org", "bob@example.org"],
    ["carol@example.org", GONE],
    ["dave@example.org", FULL],
)


def send_batch() -> list[EmailMessage]:
    """Invite all guests over one connection.

    Returns:
        The messages; `message.mailbridge_receipt` says of each recipient what became of it.
    """
    messages = [EmailMessage("You are invited", "Please come on Friday.", to=guests) for guests in GUESTS]
    mail.get_connection().send_messages(messages)
    return messages
