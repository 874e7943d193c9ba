"""`Settings`: what a server is, before a test dictates anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from mailbridge.testing.mechanisms import MECHANISMS

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

    def __post_init__(self) -> None:
        if self.tls not in (None, *get_args(TLSMode)):
            raise ValueError(f"tls is one of None, {', '.join(get_args(TLSMode))}, not {self.tls!r}")
        if unknown := {*self.auth} - {*MECHANISMS}:
            raise ValueError(f"auth knows {', '.join(MECHANISMS)}, not {', '.join(sorted(unknown))}")
