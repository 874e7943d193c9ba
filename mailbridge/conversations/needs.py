"""What a conversation may wait for, and the words that all conversations are made of."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from typing import Any, TypeVar

from ..commands import Command
from ..errors import SMTPResponseException
from ..exchanges import Exchange
from ..protocol import SMTPProtocol
from ..replies import Reply


class Need(Enum):
    """What a driver serves."""

    DATA = auto()
    """Write what is queued, then read something."""
    ROOM = auto()
    """Write what is queued; read only while the kernel takes nothing more."""
    SAID = auto()
    """Nothing: all of a message is queued, so that another one may follow. Only batches ask for it."""
    MESSAGE = auto()
    """The next message of a batch, a `Delivery`; None where there is none now."""
    CONNECTION = auto()
    """Open a fresh connection in place of the old one; the conversation gets its protocol."""
    TLS = auto()
    """Write what is queued, then do the handshake."""
    TOKEN = auto()
    """Ask the token provider; the conversation gets a Secret."""
    FRESH_TOKEN = auto()
    """The same, with `force_refresh`."""


_T = TypeVar("_T")
Conversation = Generator[Need, Any, _T]


def turn(smtp: SMTPProtocol) -> Conversation[None]:
    """Wait until the rules of pipelining let a command follow."""
    while not smtp.free:
        smtp.expect_more()
        yield Need.DATA


def say(smtp: SMTPProtocol, command: Command) -> Conversation[Exchange]:
    """Queue a command as soon as it may be said."""
    if not smtp.free:
        yield from turn(smtp)
    return smtp.send(command)


def answered(smtp: SMTPProtocol, exchange: Exchange) -> Conversation[Reply]:
    """Wait until a command has all of its replies; give the last one."""
    while exchange.due:
        smtp.expect_more()
        yield Need.DATA
    return exchange.replies[-1]


def ask(smtp: SMTPProtocol, command: Command) -> Conversation[Reply]:
    """Say something and wait for a reply that accepts it.

    Raises:
        SMTPResponseException: The reply refuses it.
    """
    exchange = yield from say(smtp, command)
    reply = yield from answered(smtp, exchange)
    if reply.refused:
        raise SMTPResponseException.of(reply, command.phase)
    return reply
