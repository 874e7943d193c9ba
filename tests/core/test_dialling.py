"""Dialling: the order of addresses, and the name that the client says."""

import socket
from typing import Any

import pytest

from mailbridge.dialling import ascii_host, in_order, own_name
from mailbridge.errors import SMTPInputError


def _address(family: int, host: str) -> tuple[Any, Any, int, str, Any]:
    return family, socket.SOCK_STREAM, 0, "", (host, 25)


def test_families_take_turns() -> None:
    """RFC 8305: the first address of each family, then the second of each, and what is left."""
    given = [_address(socket.AF_INET6, f"::{n}") for n in (1, 2, 3)] + [_address(socket.AF_INET, "192.0.2.1")]

    assert [address[4][0] for address in in_order(given)] == ["::1", "192.0.2.1", "::2", "::3"]


def test_the_resolvers_first_choice_stays_first() -> None:
    """IPv4 begins where the resolver put it first."""
    given = [_address(socket.AF_INET, "192.0.2.1"), _address(socket.AF_INET6, "::1")]

    assert in_order(given) == given
    assert in_order([]) == []


@pytest.mark.parametrize("machine", ["mail.example.com", "host-1.example.org", "a.b.c.example", "x.1a.museum"])
def test_a_full_name_is_said(machine: str) -> None:
    """RFC 5321 section 4.1.4: a machine that knows its full name says it."""
    assert own_name(machine, ("192.0.2.1", 40000)) == machine


@pytest.mark.parametrize(
    "machine",
    [
        "laptop",
        "",
        "localhost",
        "localhost.localdomain",
        "web.localdomain",
        "my_host.example.com",
        "a.b\n",
        "192.0.2.7",
        "x.123",
        "a..b.com",
        ".example.com",
        "bücher.example",
        "a." * 128 + "com",
    ],
)
def test_what_is_no_full_name_becomes_the_address(machine: str) -> None:
    """A name that no stranger could look up gives way to the address literal."""
    assert own_name(machine, ("192.0.2.1", 40000)) == "[192.0.2.1]"


@pytest.mark.parametrize(
    ("address", "literal"),
    [
        (("192.0.2.1", 40000), "[192.0.2.1]"),
        (("2001:db8::1", 40000, 0, 0), "[IPv6:2001:db8::1]"),
        (("fe80::1%eth0", 40000, 0, 2), "[IPv6:fe80::1]"),
        (("::ffff:192.0.2.1", 40000, 0, 0), "[192.0.2.1]"),
        ("/run/client.sock", "[127.0.0.1]"),
        ("", "[127.0.0.1]"),
        ((), "[127.0.0.1]"),
        (None, "[127.0.0.1]"),
    ],
)
def test_the_address_as_a_literal(address: object, literal: str) -> None:
    """RFC 5321 section 4.1.3: IPv4 as it is, also in IPv6's clothes; IPv6 tagged, without its zone."""
    assert own_name("laptop", address) == literal


@pytest.mark.parametrize(
    ("host", "spelled"),
    [
        ("mail.example.com", "mail.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("bücher.example.", "xn--bcher-kva.example."),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_host_is_dialled_in_ascii(host: str, spelled: str) -> None:
    """Resolvers and certificates know A-labels; addresses and the final dot stay."""
    assert ascii_host(host) == spelled


def test_a_host_that_is_no_name_is_refused() -> None:
    """What IDNA does not allow is named before anybody is asked for it."""
    with pytest.raises(SMTPInputError, match="IDNA"):
        ascii_host("\u2024\u2024.example")
