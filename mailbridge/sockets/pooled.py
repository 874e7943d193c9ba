"""What the pools of both drivers agree on: their options, what they tell, when a server has had enough."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypedDict

from ..errors import SMTPConnectError, SMTPInputError
from ..limits import Limits
from ..parameters import is_whole, require, shown
from ..timeouts import LONGEST

# Postfix and Gmail say 4.7.0; Exim, Sendmail and Dovecot only say it in words.
_TOO_MANY = re.compile(r"too many|concurrent|connection (rate )?limit", re.IGNORECASE)


class PoolOptions(TypedDict, total=False):
    """The options of a pool, by name; see `PoolSettings`."""

    max_connections: int
    max_messages: int
    max_idle: float
    max_age: float
    claim_timeout: float
    probe_after: float | None
    log_receipts: bool


@dataclass(frozen=True, slots=True)
class PoolSettings(Limits):
    """How a pool behaves, checked.

    Attributes:
        claim_timeout: Seconds to wait for a connection at most.
        probe_after: Seconds of idleness after which a connection is asked (NOOP) whether it lives; None for never.
        log_receipts: Write one record to the logger "mailbridge" for each message.
    """

    claim_timeout: float = 30.0
    probe_after: float | None = None
    log_receipts: bool = True

    def __post_init__(self) -> None:
        for name in ("max_connections", "max_messages"):
            if not is_whole(getattr(self, name), 1):
                raise SMTPInputError(f"{name} is a number from 1, not {shown(getattr(self, name))}")
        for name in ("max_idle", "max_age", "claim_timeout", "probe_after"):
            value = getattr(self, name)
            if name == "probe_after" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
                raise SMTPInputError(f"{name} is above 0 and up to {LONGEST} seconds, not {shown(value)}")
        require("log_receipts", "True or False", self.log_receipts, bool)


def turned_away(error: Exception | None) -> bool:
    """The greeting was a 421: the server has too many connections, as some say by 4.7.0 and some in words."""
    if not isinstance(error, SMTPConnectError) or error.smtp_code != 421 or error.reply is None:
        return False
    return str(error.reply.enhanced or "") == "4.7.0" or bool(_TOO_MANY.search(error.reply.text))


@dataclass(frozen=True, slots=True)
class Stats:
    """What a pool has now, and what it did so far.

    Attributes:
        open: Connections, those under way included.
        idle: Connections that wait for a message.
        waiting: How many wait for a connection.
        opened: Connections made.
        reused: How often a connection that was there served.
        stale: How often a connection that was there had to be replaced.
        handshakes_saved: Messages that needed no connection of their own.
        claiming: Seconds for which senders waited for a connection.
        connecting: Seconds for which connections were made.
        sending: Seconds for which connections were used.
    """

    open: int = 0
    idle: int = 0
    waiting: int = 0
    opened: int = 0
    reused: int = 0
    stale: int = 0
    handshakes_saved: int = 0
    claiming: float = 0.0
    connecting: float = 0.0
    sending: float = 0.0
