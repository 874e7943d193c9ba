"""What a client shows of the connection that it keeps."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ..capabilities import Capabilities
from ..tls import TLSInfo
from .keeper import Keeper

K = TypeVar("K", bound="Keeper[Any]")


class Insight(Generic[K]):
    """What can be seen of the connection that a client keeps."""

    _channel: K

    @property
    def connected(self) -> bool:
        """A connection is open and could carry a message, as far as anybody knows without asking."""
        return self._channel.connected

    @property
    def capabilities(self) -> Capabilities:
        """What the server announced on the present connection."""
        connection = self._channel.connection
        return connection.protocol.capabilities if connection else Capabilities()

    @property
    def tls(self) -> TLSInfo | None:
        """What protects the present connection: version, cipher, the certificate's names and expiry."""
        return self._channel.connection.tls if self._channel.connection else None

    @property
    def transcript(self) -> tuple[str, ...]:
        """The last lines of the present connection, redacted."""
        return self._channel.connection.protocol.transcript.lines() if self._channel.connection else ()

    def take_transcript(self) -> tuple[str, ...]:
        """Those of its lines that nobody took before, so that whoever writes them down writes each one once."""
        return self._channel.connection.protocol.transcript.take() if self._channel.connection else ()
