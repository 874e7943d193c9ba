"""Making a connection: names resolved by the loop, addresses tried side by side, all within one deadline."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable

from ..dialling import AddressInfo, ascii_host, in_order
from ..facts import Phase
from ..server import Server
from ..sockets.racing import Race, late, looked_up, numeric, race, reachable, to_look_up, unix
from ..translation import translated


async def dial(server: Server, deadline: float) -> socket.socket:
    """Connect to a server; the socket does not block.

    Args:
        server: Where to.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        SMTPUnreachableError: No address answered; refused and unresolvable have classes of their own.
        SMTPTimeoutError: The deadline passed.
    """
    return await connect(server, await look_up(server, deadline), deadline)


async def look_up(server: Server, deadline: float) -> list[AddressInfo]:
    """The addresses of a server, in the order in which they are tried.

    Raises:
        SMTPNameError: Its name could not be resolved.
        SMTPTimeoutError: The deadline passed.
    """
    host = ascii_host(server.name) if server.host else ""
    try:
        return in_order(unix(server.path) if server.path else await resolve(host, server.port, deadline))
    except OSError as error:
        raise translated(error, Phase.RESOLVE, server) from error


async def connect(server: Server, addresses: list[AddressInfo], deadline: float) -> socket.socket:
    """Connect to the first of these addresses that answers.

    Raises:
        SMTPUnreachableError: None answered; refused has a class of its own.
        SMTPTimeoutError: The deadline passed.
    """
    try:
        return await _run(race(reachable(addresses, server), server.source_address, deadline))
    except OSError as error:
        raise translated(error, Phase.CONNECT, server) from error


async def resolve(host: str, port: int, deadline: float) -> list[AddressInfo]:
    """Look a name up in a thread of the loop's, which is left behind where it is late.

    Raises:
        TimeoutError: The deadline passed.
        socket.gaierror: There is no such name.
    """
    host = to_look_up(host)
    if numeric(host):
        return looked_up(host, port)
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    except TimeoutError:
        raise late() from None


async def _run(attempts: Race) -> socket.socket:
    """Wait for the attempts of a race until one wins."""
    ready: Iterable[int] | None = None
    try:
        while True:
            running, pause = attempts.send(ready) if ready is not None else next(attempts)
            ready = await _ended(running, pause)
    except StopIteration as stop:
        won: socket.socket = stop.value
        return won
    finally:
        attempts.close()


async def _ended(running: dict[int, socket.socket], pause: float) -> list[int]:
    loop = asyncio.get_running_loop()
    ready: list[int] = []
    first = asyncio.Event()

    def tell(descriptor: int) -> None:
        ready.append(descriptor)
        # Until its error is taken from it, the loop reports it anew in each round.
        loop.remove_writer(descriptor)
        first.set()

    watched = list(running)
    timer = loop.call_later(pause, first.set)
    try:
        for descriptor in watched:
            loop.add_writer(descriptor, tell, descriptor)
        await first.wait()
    finally:
        timer.cancel()
        for descriptor in watched:
            loop.remove_writer(descriptor)
    return ready
