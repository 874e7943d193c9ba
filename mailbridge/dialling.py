"""In which order addresses are dialled, and what the client calls itself. Pure: nobody is called here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any

from .addresses import a_labels

# RFC 8305 section 5: the next address is tried after this long, while the first one still may answer.
STAGGER = 0.25

# What `getaddrinfo` gives: family, type, protocol, canonical name, socket address.
AddressInfo = tuple[Any, Any, int, str, Any]

_FQDN = re.compile(r"(?!.*\.localdomain$)(?!localhost\.)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z][A-Za-z0-9-]*")


def ascii_host(host: str) -> str:
    """A host as resolvers and certificates know it: a name in A-labels, an address as it is.

    Raises:
        SMTPInputError: It is no name.
    """
    if ":" in host:
        return host
    # A dot at the end says that the name is complete: no search list is gone through.
    dot = "." if host.endswith(".") else ""
    return a_labels(host.removesuffix(".")) + dot


def in_order(addresses: Iterable[AddressInfo]) -> list[AddressInfo]:
    """Let the address families take turns, the resolver's first choice first (RFC 8305 section 4)."""
    families: dict[Any, list[AddressInfo]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in turns if address is not None]


def own_name(machine: str, address: object) -> str:
    """What to say in EHLO (RFC 5321 section 4.1.4): a full name, or else the address as a literal.

    Args:
        machine: The machine's own name, as the kernel knows it. Nobody is asked for more.
        address: The local end of the connection, as `getsockname` gives it.
    """
    if len(machine) <= 255 and _FQDN.fullmatch(machine):
        return machine
    host = str(address[0]).partition("%")[0] if isinstance(address, tuple) and address else ""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return "[127.0.0.1]"  # a unix socket: both ends are this machine
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    # RFC 5321 section 4.1.3; an IPv4 address in IPv6's clothes is still one of IPv4.
    return f"[{mapped}]" if mapped else f"[IPv6:{ip}]" if ip.version == 6 else f"[{ip}]"
