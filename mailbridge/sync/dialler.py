"""Making a connection: names resolved, addresses tried side by side, all within one deadline."""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import threading
import time

from ..addresses import a_labels
from ..dialling import STAGGER, AddressInfo, in_order
from ..facts import Phase
from ..server import Server, is_loopback
from ..translation import translated

# What a connect that does not block says where it goes on; the second is Windows' word for it.
_UNDER_WAY = {errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}


def dial(server: Server, deadline: float) -> socket.socket:
    """Connect to a server; the socket does not block.

    Args:
        server: Where to.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        SMTPUnreachableError: No address answered; refused and unresolvable have classes of their own.
        SMTPTimeoutError: The deadline passed.
    """
    phase = Phase.RESOLVE
    try:
        addresses = _unix(server.path) if server.path else resolve(a_labels(server.name), server.port, deadline)
        phase = Phase.CONNECT
        return _race(in_order(addresses), server.source_address, deadline)
    except OSError as error:
        raise translated(error, phase, server) from error


def _unix(path: str) -> list[AddressInfo]:
    return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)]


def resolve(host: str, port: int, deadline: float) -> list[AddressInfo]:
    """Look a name up. `getaddrinfo` has no timeout, so a thread that is late is left behind.

    Raises:
        TimeoutError: The deadline passed.
        socket.gaierror: There is no such name.
    """
    if is_loopback(host) or _numeric(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    answer: queue.SimpleQueue[list[AddressInfo] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answer.put(error)

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    try:
        found = answer.get(timeout=max(deadline - time.monotonic(), 0))
    except queue.Empty:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    if isinstance(found, OSError):
        raise found
    return found


def _numeric(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _race(addresses: list[AddressInfo], source: tuple[str, int] | None, deadline: float) -> socket.socket:
    """RFC 8305 section 5: a new attempt each quarter of a second; the first connection wins."""
    waiting = list(addresses)
    running: dict[int, socket.socket] = {}
    failed: list[OSError] = []
    next_start = 0.0
    try:
        while waiting or running:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            if waiting and (now >= next_start or not running):
                next_start = now + STAGGER
                _start(waiting.pop(0), source, running, failed)
            pause = min(deadline, next_start if waiting else deadline) - time.monotonic()
            if winner := _winner(running, failed, max(pause, 0)):
                return winner
    finally:
        for loser in running.values():
            loser.close()
    raise failed[0] if failed else OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))


def _start(
    address: AddressInfo, source: tuple[str, int] | None, running: dict[int, socket.socket], failed: list[OSError]
) -> None:
    family, kind, protocol, _, place = address
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        failed.append(error)
        return
    try:
        sock.setblocking(False)
        if source and family != getattr(socket, "AF_UNIX", None):
            sock.bind(source)
        code = sock.connect_ex(place)
        if code not in {0, *_UNDER_WAY}:
            raise OSError(code, os.strerror(code))
    except OSError as error:
        sock.close()
        failed.append(error)
        return
    running[sock.fileno()] = sock


def _winner(running: dict[int, socket.socket], failed: list[OSError], pause: float) -> socket.socket | None:
    """Wait for an attempt to end; give the one that succeeded."""
    if not running:
        return None
    with selectors.DefaultSelector() as selector:
        for sock in running.values():
            selector.register(sock, selectors.EVENT_WRITE)
        ready = [key.fd for key, _ in selector.select(pause)]
    for descriptor in ready:
        sock = running.pop(descriptor)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            return _tuned(sock)
        sock.close()
        failed.append(OSError(code, os.strerror(code)))
    return None


def _tuned(sock: socket.socket) -> socket.socket:
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        # Without it STARTTLS costs one round trip more, and TLS on loopback 40 ms for each message.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
