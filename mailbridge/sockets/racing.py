"""Addresses tried side by side: attempts begun, won and lost. Who waits for them is the driver's business."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Generator, Iterable

from ..dialling import STAGGER, AddressInfo
from ..server import Server, is_loopback

# What a connect that does not block says where it goes on; the second is Windows' word for it.
_UNDER_WAY = {errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}

_INTERNET = {socket.AF_INET, socket.AF_INET6}
# This machine has no way to a whole family of addresses.
NO_WAY = {errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EHOSTUNREACH}

# Yields the attempts that run, by descriptor, and the seconds until the next one; gets the descriptors that are ready.
Race = Generator[tuple[dict[int, socket.socket], float], Iterable[int], socket.socket]


def unix(path: str) -> list[AddressInfo]:
    """The address of a unix socket."""
    return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)]


def to_look_up(host: str) -> str:
    """The name to ask the resolver for."""
    # RFC 6761 section 6.3: no resolver may send a name of this machine elsewhere.
    return "localhost" if is_loopback(host) and not numeric(host) else host


def numeric(host: str) -> bool:
    """It is an address already: nobody need be asked."""
    return ":" in host or host.replace(".", "").isdigit()


def looked_up(host: str, port: int) -> list[AddressInfo]:
    """Ask the resolver, however long it takes.

    Raises:
        socket.gaierror: There is no such name.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None


def late() -> TimeoutError:
    """The deadline to connect passed."""
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def reachable(addresses: list[AddressInfo], server: Server) -> list[AddressInfo]:
    """Those of the family that is dialled from, where the caller says from where.

    Raises:
        OSError: There is none.
    """
    source = server.source_address
    if not source or not source[0]:
        return addresses
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    found = [address for address in addresses if address[0] in {family, getattr(socket, "AF_UNIX", None)}]
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"no address of the server can be reached from {source[0]}")
    return found


def race(addresses: Iterable[AddressInfo], source: tuple[str, int] | None, deadline: float) -> Race:
    """RFC 8305 section 5: a new attempt each quarter of a second; the first connection wins.

    Args:
        addresses: In the order in which they are tried.
        source: The local address to connect from.
        deadline: The moment to give up, on the monotonic clock.

    Raises:
        OSError: No address answered, or the deadline passed.
    """
    waiting = list(addresses)
    running: dict[int, socket.socket] = {}
    failed: list[OSError] = []
    next_start = 0.0
    try:
        while waiting or running:
            now = time.monotonic()
            if now >= deadline:
                raise late()
            if waiting and (now >= next_start or not running):
                next_start = now + STAGGER
                _start(waiting.pop(0), source, running, failed)
            if running:
                pause = min(deadline, next_start if waiting else deadline) - time.monotonic()
                ready = yield running, max(pause, 0)
                if won := winner(ready, running, failed):
                    return won
    finally:
        for loser in running.values():
            loser.close()
    raise _telling(failed)


def _telling(failed: list[OSError]) -> OSError:
    """The first failure, but that one family leads nowhere says less than what the other one met."""
    return next((error for error in failed if error.errno not in NO_WAY), failed[0])


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


def winner(ready: Iterable[int], running: dict[int, socket.socket], failed: list[OSError]) -> socket.socket | None:
    """Take the attempts that ended out of those that run; give the one that succeeded."""
    for descriptor in ready:
        sock = running.pop(descriptor)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # What was accepted and then reset is a connection too: the server may have said why (SERVERS.md R4, R6).
        if code in {0, errno.ECONNRESET, errno.EPIPE}:
            return sock
        sock.close()
        failed.append(OSError(code, os.strerror(code)))
    return None
