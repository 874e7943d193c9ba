"""Making a connection: names resolved, addresses tried side by side, all within one deadline."""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import threading
import time

from ..dialling import STAGGER, AddressInfo, ascii_host, in_order
from ..facts import Phase
from ..server import Server, is_loopback
from ..translation import translated

# What a connect that does not block says where it goes on; the second is Windows' word for it.
_UNDER_WAY = {errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}

_INTERNET = {socket.AF_INET, socket.AF_INET6}
# This machine has no way to a whole family of addresses.
_NO_WAY = {errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EHOSTUNREACH}


def dial(server: Server, deadline: float) -> socket.socket:
    """Connect to a server; the socket does not block.

    Args:
        server: Where to.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        SMTPUnreachableError: No address answered; refused and unresolvable have classes of their own.
        SMTPTimeoutError: The deadline passed.
    """
    host, phase = ascii_host(server.name) if server.host else "", Phase.RESOLVE
    try:
        addresses = _unix(server.path) if server.path else resolve(host, server.port, deadline)
        phase = Phase.CONNECT
        return _race(in_order(_reachable(addresses, server.source_address)), server.source_address, deadline)
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
    if is_loopback(host) and not _numeric(host):
        host = "localhost"  # RFC 6761 section 6.3: no resolver may send a name of this machine elsewhere
    if _numeric(host) or host == "localhost":
        return _looked_up(host, port)
    answer: queue.SimpleQueue[list[AddressInfo] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(_looked_up(host, port))
        except OSError as error:
            answer.put(error)

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    try:
        found = answer.get(timeout=max(deadline - time.monotonic(), 0))
    except queue.Empty:
        found = _late()
    if isinstance(found, OSError):
        raise found
    return found


def _numeric(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _looked_up(host: str, port: int) -> list[AddressInfo]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None


def _late() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _reachable(addresses: list[AddressInfo], source: tuple[str, int] | None) -> list[AddressInfo]:
    """Those of the family that is dialled from, where the caller says from where."""
    if not source or not source[0]:
        return addresses
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    found = [address for address in addresses if address[0] in {family, getattr(socket, "AF_UNIX", None)}]
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"no address of the server can be reached from {source[0]}")
    return found


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
                raise _late()
            if waiting and (now >= next_start or not running):
                next_start = now + STAGGER
                _start(waiting.pop(0), source, running, failed)
            pause = min(deadline, next_start if waiting else deadline) - time.monotonic()
            if winner := _winner(running, failed, max(pause, 0)):
                return winner
    finally:
        for loser in running.values():
            loser.close()
    raise _telling(failed)


def _telling(failed: list[OSError]) -> OSError:
    """The first failure, but that one family leads nowhere says less than what the other one met."""
    return next((error for error in failed if error.errno not in _NO_WAY), failed[0])


def _start(
    address: AddressInfo, source: tuple[str, int] | None, running: dict[int, socket.socket], failed: list[OSError]
) -> None:
    """Begin an attempt."""
    try:
        sock = socket.socket(*address[:3])
    except OSError as error:
        failed.append(error)
        return
    try:
        sock.setblocking(False)
        if sock.family in _INTERNET:
            # Without it STARTTLS costs one round trip more, and TLS on loopback 40 ms for each message.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _bind(sock, source)
        code = sock.connect_ex(address[4])
        if code not in {0, *_UNDER_WAY}:
            raise OSError(code, os.strerror(code))
    except BaseException as error:
        sock.close()
        if not isinstance(error, OSError):
            raise
        failed.append(error)
        return
    running[sock.fileno()] = sock


def _bind(sock: socket.socket, source: tuple[str, int] | None) -> None:
    if source is None:
        return
    try:
        sock.bind(source)
    except OSError as error:
        words = error.strerror or str(error)
        raise OSError(error.errno, f"the source address {source[0]} cannot be used: {words}") from None


def _winner(running: dict[int, socket.socket], failed: list[OSError], pause: float) -> socket.socket | None:
    """Wait for an attempt to end; give the one that succeeded."""
    if not running:
        return None
    with selectors.DefaultSelector() as selector:
        for sock in running.values():
            selector.register(sock, selectors.EVENT_WRITE)
        ready = [key.fd for key, _ in selector.select(pause)]
    for descriptor in ready:
        code = running[descriptor].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        sock = running.pop(descriptor)
        # What was accepted and then reset is a connection too: the server may have said why (SERVERS.md R4, R6).
        if code in {0, errno.ECONNRESET, errno.EPIPE}:
            return sock
        sock.close()
        failed.append(OSError(code, os.strerror(code)))
    return None
