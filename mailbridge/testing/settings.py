"""`Settings`: what a server is, before a test dictates anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TLSMode = Literal["starttls", "implicit"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The fixed properties of a server; see `ScriptedServer` for their meaning."""

    lmtp: bool = False
    tls: TLSMode | None = None
    name: str = "scripted.test"
    accounts: Mapping[str, str] = field(default_factory=dict)
    auth: tuple[str, ...] = ("PLAIN", "LOGIN")
    require_auth: bool = False
    max_recipients: int | None = None
    lax_newlines: bool = False
    strict_pipelining: bool = True
