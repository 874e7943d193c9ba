"""What a server offers: its EHLO or LHLO reply as a frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from .replies import Reply

# RFC 5321 section 4.1.1.1: ehlo-keyword, then parameters. "AUTH=LOGIN" is an older spelling
# that some servers send beside the standard one (SERVERS.md, Cyrus SASL).
_KEYWORD = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =]+(.*))?$")


def _number(text: str) -> int | None:
    """Read a decimal number of at most 20 digits (RFC 1870 section 3)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


@dataclass(frozen=True)
class Capabilities:
    """The extensions that a server announced, until STARTTLS or a new EHLO forgets them.

    Attributes:
        name: What the server calls itself.
        esmtp: It answered EHLO or LHLO, not only HELO.
        extensions: Keyword in upper case → its parameters.
        pipelining: RFC 2920: commands may be sent without waiting for each reply.
        chunking: RFC 3030: BDAT may be used instead of DATA.
        size: RFC 1870 section 4: the largest message in octets; no number or 0 means no limit known (None).
    """

    name: str = ""
    esmtp: bool = False
    extensions: Mapping[str, str] = field(default_factory=dict)
    # Every message asks for them.
    pipelining: bool = field(init=False, repr=False, compare=False)
    chunking: bool = field(init=False, repr=False, compare=False)
    size: int | None = field(init=False, repr=False, compare=False)
    _limits: Mapping[str, int | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        limits = (item.partition("=") for item in self.extensions.get("LIMITS", "").split())
        object.__setattr__(self, "extensions", MappingProxyType(dict(self.extensions)))
        object.__setattr__(self, "pipelining", "PIPELINING" in self.extensions)
        object.__setattr__(self, "chunking", "CHUNKING" in self.extensions)
        object.__setattr__(self, "size", _number(self.extensions.get("SIZE", "")) or None)
        object.__setattr__(self, "_limits", {key.upper(): _number(value) or None for key, _, value in limits})

    @classmethod
    def parse(cls, reply: Reply) -> Self:
        """Read a 250 reply to EHLO or LHLO; lines that are no keyword are passed over."""
        extensions: dict[str, str] = {}
        for line in reply.lines[1:]:
            if found := _KEYWORD.match(line.strip()):
                keyword, parameters = found[1].upper(), found[2] or ""
                extensions[keyword] = f"{extensions.get(keyword, '')} {parameters}".strip(" ")
        name = reply.lines[0].split(maxsplit=1)
        return cls(name[0] if name else "", True, extensions)

    def __contains__(self, keyword: str) -> bool:
        return keyword.upper() in self.extensions

    def __reduce__(self) -> tuple[type[Capabilities], tuple[str, bool, dict[str, str]]]:
        # A mapping proxy does not pickle; the plain dictionary inside it does.
        return type(self), (self.name, self.esmtp, dict(self.extensions))

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """RFC 4954 section 3: the SASL mechanisms, in the server's order, in upper case."""
        return tuple(dict.fromkeys(self.extensions.get("AUTH", "").upper().replace("=", " ").split()))

    def limit(self, name: str) -> int | None:
        """A limit of RFC 9422: MAILMAX, RCPTMAX or RCPTDOMAINMAX; None where not announced."""
        return self._limits.get(name)
