"""What a server answers: a reply code, its lines, and the enhanced status code in front of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

# RFC 2034 section 4, RFC 3463 section 2: class "." subject "." detail, then a space.
_ENHANCED = re.compile(r"\A([245])\.([0-9]{1,3})\.([0-9]{1,3})(?:\s+|\Z)")


@dataclass(frozen=True)
class EnhancedCode:
    """An enhanced mail system status code (RFC 3463), such as 5.1.1."""

    severity: int
    subject: int
    detail: int

    @classmethod
    def parse(cls, text: str) -> EnhancedCode | None:
        """Read the code at the beginning of a reply's text; None where there is none."""
        found = _ENHANCED.match(text)
        return cls(*map(int, found.groups())) if found else None

    def __str__(self) -> str:
        return f"{self.severity}.{self.subject}.{self.detail}"


@dataclass(frozen=True)  # no slots: mypyc has its own
class Reply:
    """One complete reply of a server (RFC 5321 section 4.2).

    Attributes:
        code: The three-digit reply code.
        lines: The text of each line, without code and line end. Octets that are
            not UTF-8 are kept as surrogate escapes; `raw` gives them back.
    """

    code: int
    lines: tuple[str, ...] = ("",)

    @property
    def positive(self) -> bool:
        """The command was accepted (2yz)."""
        return 200 <= self.code < 300

    @property
    def intermediate(self) -> bool:
        """The server waits for more (3yz)."""
        return 300 <= self.code < 400

    @property
    def transient(self) -> bool:
        """Refused for now (4yz): the same again may succeed later."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """Refused for good (5yz)."""
        return self.code >= 500

    @property
    def refused(self) -> bool:
        """Refused, for now or for good."""
        return self.code >= 400

    @property
    def enhanced(self) -> EnhancedCode | None:
        """The enhanced status code, whether the server announced them or not.

        RFC 2034 section 4: its class must agree with the reply code's; one that does not is text.
        """
        found = EnhancedCode.parse(self.lines[0])
        return found if found and found.severity == self.code // 100 else None

    @property
    def text(self) -> str:
        """All lines joined by newlines, each without its enhanced status code."""
        if self.enhanced is None:
            return "\n".join(self.lines)
        return "\n".join(_ENHANCED.sub("", line) for line in self.lines)

    @property
    def raw(self) -> bytes:
        r"""The lines as received, joined by ``\n``, as the standard smtplib gives them."""
        return "\n".join(self.lines).encode("utf-8", "surrogateescape")

    def __reduce__(self) -> tuple[type[Reply], tuple[int, tuple[str, ...]]]:
        return Reply, (self.code, self.lines)

    def __str__(self) -> str:
        return f"{self.code} " + "\n".join(self.lines)
