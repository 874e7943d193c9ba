"""What of a channel waits for nothing: whether its connection is there, and the octets of a message that it carries."""

from __future__ import annotations

import asyncio
import os
from typing import NoReturn, TypeVar

from ..compiling import mypyc_attr
from ..conversations import Conversation, Delivery, Need, send
from ..errors import SMTPException
from ..sockets.keeper import Keeper
from .line import Line

L = TypeVar("L", bound=Line)


@mypyc_attr(allow_interpreted_subclasses=True)
class Keeping(Keeper[L]):
    """Keeps one connection to a server, in the loop that it was made in."""

    _deadline = 0.0

    @property
    def connected(self) -> bool:
        """A connection is open and could carry a message, as far as anybody knows without asking."""
        if self._pid == os.getpid() and self.connection is not None and not self.connection.at_home:
            self.connection.abandon()
            self.connection = None
        return super().connected

    def begun(self, delivery: Delivery, deadline: float) -> Conversation[SMTPException | None]:
        """Begin to send a message, over the connection that is there if one is."""
        self._deadline = deadline
        smtp = self.found(deadline)
        return send(smtp, delivery, max_recipients=self.server.max_recipients, hot=smtp is not None and self.recent)

    # How the needs of a conversation are served, as far as that takes no coroutine: see `Service`.

    def waits_for(self, need: Need) -> asyncio.Future[bool] | None:
        """What to await before a need is served."""
        return None if need is Need.CONNECTION else self._carrying.waits_for(need)

    def fail(self, error: OSError) -> NoReturn:
        """What went wrong while it waited closes the connection."""
        self._carrying.fail(error)

    @property
    def _carrying(self) -> L:
        assert self.connection is not None  # noqa: S101 - the conversation asked for it first
        return self.connection

    def forget(self) -> None:
        """In a forked child the connection is the parent's, and so is what its loop waits with."""
        if self.connection is not None:
            self.connection.forget()
        super().forget()
