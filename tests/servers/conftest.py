"""Real servers, started once for the whole run. `make servers` sets REAL_SERVERS; without it none of this is run."""

import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from mailbridge import MailObject
from tests.servers.lab import LABS, Aiosmtpd, Dovecot, Lab, MissingError, Nodemailer, Postfix, Submission
from tests.servers.lab.faces import FACES, POOLS, Face, Pooled
from tests.servers.lab.machine import free_ports

collect_ignore_glob = [] if os.environ.get("REAL_SERVERS") else ["test_*.py"]


class Street:
    """Starts each server when it is first asked for, and stops what was started."""

    def __init__(self) -> None:
        self.labs: dict[type[Lab], Lab] = {}
        # Postfix's logins are Dovecot's to check, and Dovecot's submission service relays to Postfix.
        Postfix.relay = Dovecot.relay = free_ports(1)[0]

    def __call__(self, kind: type[Lab]) -> Lab:
        if kind not in self.labs:
            try:
                lab = self._made(kind)
            except MissingError as missing:
                pytest.skip(f"{kind.name}: {missing}")
            self.labs[kind] = lab
            if kind is not Submission:
                lab.start()
        return self.labs[kind]

    def _made(self, kind: type[Lab]) -> Lab:
        if kind is Submission:
            return Submission(self(Dovecot), self(Postfix))  # type: ignore[arg-type]  # as they were asked for
        if kind is Postfix:
            Postfix.sasl = self(Dovecot).folder / "run" / "postfix-auth"
        return kind()

    def close(self) -> None:
        for lab in self.labs.values():
            lab.close()


@pytest.fixture(scope="session")
def street() -> Iterator[Street]:
    street = Street()
    yield street
    street.close()


@pytest.fixture(params=LABS, ids=lambda kind: kind.name)
def lab(request: pytest.FixtureRequest, street: Street) -> Lab:
    """Each of the servers in turn."""
    return street(request.param)


@pytest.fixture(params=[kind for kind in LABS if not kind.lmtp], ids=lambda kind: kind.name)
def smtp(request: pytest.FixtureRequest, street: Street) -> Lab:
    """Each server that speaks SMTP."""
    return street(request.param)


@pytest.fixture
def postfix(street: Street) -> Lab:
    return street(Postfix)


@pytest.fixture
def dovecot(street: Street) -> Lab:
    return street(Dovecot)


@pytest.fixture
def aiosmtpd(street: Street) -> Lab:
    return street(Aiosmtpd)


@pytest.fixture
def nodemailer(street: Street) -> Lab:
    return street(Nodemailer)


@pytest.fixture(params=FACES, ids=lambda face: face.__name__.lower())
def face(request: pytest.FixtureRequest) -> type[Face]:
    """Each way to use us."""
    return request.param  # type: ignore[no-any-return]  # pytest types it as Any


@pytest.fixture(params=POOLS, ids=lambda pool: pool.__name__.lower())
def pooled(request: pytest.FixtureRequest) -> type[Pooled]:
    """Each of the pools."""
    return request.param  # type: ignore[no-any-return]  # pytest types it as Any


@pytest.fixture
def submission(street: Street) -> Lab:
    return street(Submission)


@pytest.fixture
def token() -> str:
    """Marks a message, to find it at the server."""
    return uuid4().hex


@pytest.fixture
def letter(token: str) -> Callable[..., MailObject]:
    """Make a message from the sender to the recipients, with this body."""

    def write(*to: str, body: bytes = b"Hello\r\n", sender: str = "ann@lab.test", **options: Any) -> MailObject:
        head = b"From: <ann@lab.test>\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@lab.test>\r\n\r\n"
        content = head % token.encode() + body
        return MailObject(content, sender, to or ("bob@lab.test",), **options)

    return write
