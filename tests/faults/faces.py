"""The six ways to send: a client, a pool and a batch, in either driver. Each gives a receipt for each message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from mailbridge import Client, Pool, Receipt, SMTPException
from mailbridge import asyncio as mailbridge_asyncio
from tests.faults.host import Host, Mail
from tests.faults.network import Network, Selector
from tests.faults.sessions import IN_FLIGHT

Receipts = dict[int, Receipt]


class Sender(Protocol):
    """Somebody who sends to one server until it is closed."""

    def send_all(self, mails: Sequence[Mail]) -> Receipts:
        """Send some in whatever way this one does; the receipts by the number of the message."""

    def close(self) -> None:
        """Say goodbye."""


def _told(error: SMTPException) -> Receipt:
    assert error.receipt is not None, f"an error without a receipt: {error!r}"
    return error.receipt


class OneByOne:
    """Each message when the one before is done, by a client or from a pool."""

    def __init__(self, sender: Client | Pool) -> None:
        self._sender = sender

    def send_all(self, mails: Sequence[Mail]) -> Receipts:
        return {mail.number: self._send(mail) for mail in mails}

    def _send(self, mail: Mail) -> Receipt:
        try:
            return self._sender.send(mail.source)
        except SMTPException as error:
            return _told(error)

    def close(self) -> None:
        self._sender.close()


class InABatch:
    """All at once from a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def send_all(self, mails: Sequence[Mail]) -> Receipts:
        with self._pool.send_many(mail.source for mail in mails) as batch:
            return dict(zip((mail.number for mail in mails), batch, strict=True))

    def close(self) -> None:
        self._pool.close()


class Awaited:
    """A client or a pool for asyncio: each message when the one before is done."""

    def __init__(
        self, sender: mailbridge_asyncio.Client | mailbridge_asyncio.Pool, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._sender, self._loop = sender, loop

    def send_all(self, mails: Sequence[Mail]) -> Receipts:
        return self._loop.run_until_complete(self._send_all(mails))

    async def _send_all(self, mails: Sequence[Mail]) -> Receipts:
        return {mail.number: await self._send(mail) for mail in mails}

    async def _send(self, mail: Mail) -> Receipt:
        try:
            return await self._sender.send(mail.source)
        except SMTPException as error:
            return _told(error)

    def close(self) -> None:
        self._loop.run_until_complete(self._sender.close())


class AtOnce(Awaited):
    """From a pool by one task for each message, each over a connection of its own."""

    async def _send_all(self, mails: Sequence[Mail]) -> Receipts:
        receipts = await asyncio.gather(*map(self._send, mails))
        return dict(zip((mail.number for mail in mails), receipts, strict=True))


class InAnAwaitedBatch:
    """All at once from a pool for asyncio."""

    def __init__(self, pool: mailbridge_asyncio.Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool, self._loop = pool, loop

    def send_all(self, mails: Sequence[Mail]) -> Receipts:
        return self._loop.run_until_complete(self._send_all(mails))

    async def _send_all(self, mails: Sequence[Mail]) -> Receipts:
        async with self._pool.send_many(mail.source for mail in mails) as batch:
            receipts = [receipt async for receipt in batch]
        return dict(zip((mail.number for mail in mails), receipts, strict=True))

    def close(self) -> None:
        self._loop.run_until_complete(self._pool.close())


class Faces:
    """Makes senders. Those for asyncio share a loop whose time is the network's."""

    def __init__(self, network: Network) -> None:
        # Before the network stands in for the system's: a loop has a socket pair of its own.
        self._loop = asyncio.SelectorEventLoop(Selector(network))

    def make(self, host: Host) -> Sender:
        """A sender of a combination."""
        kind, server = host.combination, host.server
        if kind.driver == "sync":
            if kind.face == "batch":
                return InABatch(Pool(server, log_receipts=False))
            return OneByOne((Client if kind.face == "client" else Pool)(server, log_receipts=False))
        if kind.face == "client":
            return Awaited(mailbridge_asyncio.Client(server, log_receipts=False), self._loop)
        pool = mailbridge_asyncio.Pool(server, max_connections=IN_FLIGHT, log_receipts=False)
        return (InAnAwaitedBatch if kind.face == "batch" else AtOnce)(pool, self._loop)

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()
