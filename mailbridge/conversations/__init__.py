"""What is said next: each conversation is a generator that performs no I/O.

It queues commands on the protocol and yields a `Need` when it cannot go on. A driver serves
needs and nothing else.
"""

from .deliver import deliver
from .delivery import Delivery
from .login import login
from .needs import Conversation, Need, ask
from .outcome import outcome, refusal
from .sending import send
from .session import expand, farewell, greet, hello, open_session, starttls, verify
from .streaming import Flow, stream

__all__ = [
    "Conversation",
    "Delivery",
    "Flow",
    "Need",
    "ask",
    "deliver",
    "expand",
    "farewell",
    "greet",
    "hello",
    "login",
    "open_session",
    "outcome",
    "refusal",
    "send",
    "starttls",
    "stream",
    "verify",
]
