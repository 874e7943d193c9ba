"""Making a connection: names resolved, addresses tried side by side, all within one deadline."""

from __future__ import annotations

import queue
import selectors
import socket
import threading
import time
from collections.abc import Iterable

from ..dialling import AddressInfo, ascii_host, in_order
from ..facts import Phase
from ..server import Server
from ..sockets.racing import Race, late, looked_up, numeric, race, reachable, to_look_up, unix
from ..translation import translated


def dial(server: Server, deadline: float) -> socket.socket:
    """Connect to a server; the socket does not block.

    Args:
        server: Where to.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        SMTPUnreachableError: No address answered; refused and unresolvable have classes of their own.
        SMTPTimeoutError: The deadline passed.
    """
    return connect(server, look_up(server, deadline), deadline)


def look_up(server: Server, deadline: float) -> list[AddressInfo]:
    """The addresses of a server, in the order in which they are tried.

    Raises:
        SMTPNameError: Its name could not be resolved.
        SMTPTimeoutError: The deadline passed.
    """
    host = ascii_host(server.name) if server.host else ""
    try:
        return in_order(unix(server.path) if server.path else resolve(host, server.port, deadline))
    except OSError as error:
        raise translated(error, Phase.RESOLVE, server) from error


def connect(server: Server, addresses: list[AddressInfo], deadline: float) -> socket.socket:
    """Connect to the first of these addresses that answers.

    Raises:
        SMTPUnreachableError: None answered; refused has a class of its own.
        SMTPTimeoutError: The deadline passed.
    """
    try:
        return _run(race(reachable(addresses, server), server.source_address, deadline))
    except OSError as error:
        raise translated(error, Phase.CONNECT, server) from error


def resolve(host: str, port: int, deadline: float) -> list[AddressInfo]:
    """Look a name up. `getaddrinfo` has no timeout, so a thread that is late is left behind.

    Raises:
        TimeoutError: The deadline passed.
        socket.gaierror: There is no such name.
    """
    host = to_look_up(host)
    if numeric(host) or host == "localhost":
        return looked_up(host, port)
    answer: queue.SimpleQueue[list[AddressInfo] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(looked_up(host, port))
        except OSError as error:
            answer.put(error)

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    try:
        found = answer.get(timeout=max(deadline - time.monotonic(), 0))
    except queue.Empty:
        found = late()
    if isinstance(found, OSError):
        raise found
    return found


def _run(attempts: Race) -> socket.socket:
    """Wait for the attempts of a race until one wins."""
    ready: Iterable[int] | None = None
    try:
        while True:
            running, pause = attempts.send(ready) if ready is not None else next(attempts)
            ready = _ended(running, pause)
    except StopIteration as stop:
        won: socket.socket = stop.value
        return won
    finally:
        attempts.close()


def _ended(running: dict[int, socket.socket], pause: float) -> list[int]:
    with selectors.DefaultSelector() as selector:
        for sock in running.values():
            selector.register(sock, selectors.EVENT_WRITE)
        return [key.fd for key, _ in selector.select(pause)]
