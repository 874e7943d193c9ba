"""Every address of a server dialled, each with its time."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..dialling import AddressInfo
from ..errors import SMTPException
from ..facts import Phase
from ..server import Server
from ..sockets.racing import NO_WAY
from ..sync.dialler import connect
from . import findings
from .diagnosis import Fact, Step

# Addresses that are dialled at the same time; no mail server has more.
AT_ONCE = 16


class Attempt(NamedTuple):
    """One address that was dialled: how long that took, and the socket or the error."""

    address: str
    seconds: float
    sock: socket.socket | None
    error: SMTPException | None

    def step(self, *, others_answer: bool) -> Step:
        """What became of it. No way to a whole family of addresses is no trouble where the other one leads there."""
        facts: dict[str, Fact] = {"address": self.address}
        if self.error is None:
            return Step(Phase.CONNECT, self.seconds, True, facts)
        if others_answer and self.error.errno in NO_WAY:
            return Step(Phase.CONNECT, self.seconds, True, facts | {"error": self.error.what()})
        said = findings.one_address(self.error) if others_answer else findings.complaint(self.error)
        return Step(Phase.CONNECT, self.seconds, others_answer, facts, said)


def dial_each(server: Server, addresses: list[AddressInfo], deadline: float) -> list[Attempt]:
    """Dial all addresses at the same time; give what became of each, in order."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda address: _attempt(server, address, deadline), addresses))


def _attempt(server: Server, address: AddressInfo, deadline: float) -> Attempt:
    begun, sock, failed = time.monotonic(), None, None
    try:
        sock = connect(server, [address], deadline)
    except SMTPException as error:
        failed = error
    return Attempt(spelled(address), time.monotonic() - begun, sock, failed)


def spelled(address: AddressInfo) -> str:
    """An internet address without its port, or the path of a unix socket."""
    return str(address[4][0]) if isinstance(address[4], tuple) else str(address[4])
