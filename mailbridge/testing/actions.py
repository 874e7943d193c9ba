"""What a server's side of a session asks of whoever holds the socket."""

import enum
from dataclasses import dataclass


class Then(enum.Enum):
    """What becomes of a connection after a reply, or at a certain byte.

    On a unix socket there is no RST: there RESET looks like DROP.
    """

    GO_ON = "goes on"
    CLOSE = "closed"
    """FIN; what the client still sends is read and thrown away until it closes too."""
    DROP = "dropped"
    """FIN, and whatever the client sends from now on is answered by RST, as most servers do."""
    RESET = "reset"
    """RST at once."""
    SILENCE = "silent"
    """The connection stays open and nothing is ever written again."""
    TLS = "tls"
    """The TLS handshake starts (only in `Script.play`)."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write these octets as one segment, after `pause` seconds."""

    data: bytes
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Everything after this is TLS: shake hands, then call `tls_established`."""


@dataclass(frozen=True, slots=True)
class End:
    """The server's side is over; never `Then.GO_ON` or `Then.TLS`."""

    then: Then


Action = Write | StartTLS | End
