"""Who can listen: nobody under TLS, nobody between two programs of one machine."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import Any

from ..server import is_loopback


def is_private(sock: Any, host: str) -> bool:
    """Whether what goes over a socket can be read on the way.

    Args:
        sock: A connected socket.
        host: What it was connected to, for a socket that cannot tell its peer.
    """
    if isinstance(sock, ssl.SSLSocket):
        return True
    try:
        if sock.family == socket.AF_UNIX:
            return True
        peer = str(sock.getpeername()[0])
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except (AttributeError, TypeError, LookupError, ValueError, OSError):
        return is_loopback(host)
