"""The two tables of the dialogue: what may be said in which state, and where it leads."""

from __future__ import annotations

from enum import IntEnum, auto

from . import commands
from .commands import Command


class State(IntEnum):  # a plain Enum takes a call of Python for each look into a table
    """What a connection is in the middle of, as if every command under way had been accepted."""

    GREETING = auto()
    NEW = auto()
    READY = auto()
    CHALLENGED = auto()
    TLS = auto()
    TRANSACTION = auto()
    CONTENT = auto()
    CHUNKS = auto()
    CLOSING = auto()
    CLOSED = auto()


_HELLO: frozenset[type[Command]] = frozenset({commands.Ehlo, commands.Helo, commands.Lhlo})
_QUERIES = frozenset({commands.Noop, commands.Vrfy, commands.Expn, commands.Help, commands.Generic})
_ANYTIME = _HELLO | _QUERIES | {commands.Rset, commands.Quit}

# What may be said in which state.
ALLOWED: dict[State, frozenset[type[Command]]] = {
    State.NEW: _ANYTIME,
    State.READY: _ANYTIME | {commands.StartTLS, commands.Auth, commands.Mail},
    State.CHALLENGED: frozenset({commands.AuthResponse}),
    State.TRANSACTION: _ANYTIME | {commands.Rcpt, commands.Data, commands.Bdat},
    State.CONTENT: frozenset({commands.EndOfData}),
    State.CHUNKS: frozenset({commands.Bdat}),
    **dict.fromkeys((State.GREETING, State.TLS, State.CLOSING, State.CLOSED), frozenset[type[Command]]()),
}

# The state that a command leads to as soon as it is queued; the others wait for their reply.
LEADS_TO: dict[type[Command], State] = {
    commands.Mail: State.TRANSACTION,
    commands.Rset: State.READY,
    commands.EndOfData: State.READY,
    commands.Bdat: State.CHUNKS,
    commands.Quit: State.CLOSING,
}
