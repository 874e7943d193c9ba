"""Servers for tests: one that does whatever a test says, and one that takes mail and keeps it.

`ScriptedServer` speaks SMTP and LMTP on a real socket and misbehaves on demand;
`Session` is the same without any I/O. `Inbox` is a plain mail server for demos and
integration tests. Needs the extra `testing`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailbridge.testing.actions import Action, End, StartTLS, Then, Write
    from mailbridge.testing.inbox import Inbox
    from mailbridge.testing.mailroom import Received, Refusal
    from mailbridge.testing.records import Accepted, Connection, Record
    from mailbridge.testing.script import Script
    from mailbridge.testing.server import ScriptedServer
    from mailbridge.testing.session import Session
    from mailbridge.testing.settings import Settings
    from mailbridge.testing.wire import Wire

_HOMES = {
    "Accepted": "records",
    "Action": "actions",
    "Connection": "records",
    "End": "actions",
    "Inbox": "inbox",
    "Received": "mailroom",
    "Record": "records",
    "Refusal": "mailroom",
    "Script": "script",
    "ScriptedServer": "server",
    "Session": "session",
    "Settings": "settings",
    "StartTLS": "actions",
    "Then": "actions",
    "Wire": "wire",
    "Write": "actions",
}

__all__ = [
    "Accepted",
    "Action",
    "Connection",
    "End",
    "Inbox",
    "Received",
    "Record",
    "Refusal",
    "Script",
    "ScriptedServer",
    "Session",
    "Settings",
    "StartTLS",
    "Then",
    "Wire",
    "Write",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pytest imports this package in every run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only here

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
