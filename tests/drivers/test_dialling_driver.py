"""How a connection is made: which address, from where, and what is said where none answers."""

import errno
import pickle
import re
import resource
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mailbridge import (
    Client,
    Phase,
    Security,
    Server,
    SMTPConnectionRefused,
    SMTPException,
    SMTPInputError,
    SMTPNameError,
    SMTPUnreachableError,
    Timeouts,
)
from mailbridge.sockets import racing
from mailbridge.sync.dialler import _ended, dial
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import BOTH, MESSAGE, Line, client_of, client_to, peer, plain

pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the name mail.example.com leads to; everything else is looked up as ever."""
    addresses: list[Any] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host != "mail.example.com":
            return real(host, port, *args, **options)
        found = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", address))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses  # type: ignore[return-value]  # pytest takes what a fixture returns


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that never answers: its queue of connections is full."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener.getsockname()


def named(**options: Any) -> Client:
    return client_to(Server("mail.example.com", security=Security.NONE, **options))


def test_a_refused_connection(closed_port: int) -> None:
    """It is the operating system's error and the classic one, with all facts, and it survives pickling."""
    with pytest.raises(SMTPConnectionRefused) as caught:
        client_to(plain(closed_port)).send(MESSAGE)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert isinstance(error, ConnectionRefusedError)
        assert isinstance(error, SMTPException)
        assert error.errno == errno.ECONNREFUSED
        assert error.phase is Phase.CONNECT
        assert error.temporary
        assert str(error.server) == f"127.0.0.1:{closed_port} (no TLS)"
        assert error.receipt is not None
        assert list(error.receipt.not_sent) == BOTH
        assert str(error) == (
            f"127.0.0.1:{closed_port} at CONNECT: nobody listens there. "
            "Check host, port and network, and whether the server runs"
        )
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize(
    ("code", "temporary", "said"),
    [
        (socket.EAI_NONAME, False, "the name mail.example.com does not exist: no address today"),
        (socket.EAI_AGAIN, True, "mail.example.com could not be resolved: no address today"),
    ],
)
def test_no_such_name(monkeypatch: pytest.MonkeyPatch, code: int, temporary: bool, said: str) -> None:
    """The resolver's error comes through, and says whether it may pass."""

    def getaddrinfo(*args: object, **options: object) -> object:
        raise socket.gaierror(code, "no address today")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(SMTPNameError, match=re.escape(said)) as caught:
        named().connect()
    error = caught.value
    assert isinstance(error, socket.gaierror)
    assert (error.errno, error.phase, error.temporary) == (code, Phase.RESOLVE, temporary)
    assert isinstance(error.__cause__, socket.gaierror)
    assert pickle.loads(pickle.dumps(error)).errno == code


def test_a_name_that_is_none() -> None:
    """A label that is too long is an error of the caller's, not of the resolver."""
    with pytest.raises(SMTPInputError, match="overlong") as caught:
        client_to(Server("a" * 64 + ".example.com", security=Security.NONE)).connect()
    assert caught.value.__cause__ is None


def test_an_international_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up in the A-labels of IDNA 2008."""
    asked = []

    def getaddrinfo(host: str, *args: object, **options: object) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(SMTPNameError):
        client_to(Server("mail.faß.de", security=Security.NONE)).connect()
    assert asked == ["mail.xn--fa-hia.de"]


def test_names_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6761 section 6.3: no resolver may send credentials for a name under localhost elsewhere."""
    asked = []

    def getaddrinfo(host: str, *args: object, **options: object) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(SMTPNameError):
        client_to(Server("mail.localhost", security=Security.NONE)).connect()
    assert asked == ["localhost"]


def test_ipv6() -> None:
    """An IPv6 address is dialled, and EHLO names it as RFC 5321 section 4.1.3 asks."""
    with ScriptedServer(host="::1") as server, client_of(server, local_hostname=None) as client:
        client.send(MESSAGE)
        assert server.lines[0] in {b"EHLO [IPv6:::1]", b"EHLO " + socket.gethostname().encode()}


@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
def test_both_families(resolver: list[Any], family: str) -> None:
    """A server that listens on one family only is found behind a name that has both."""
    with ScriptedServer(host=family) as server:
        resolver += [("::1", server.port), ("127.0.0.1", server.port)]
        with named(port=server.port) as client:
            assert client.send(MESSAGE).complete


def test_a_dead_first_address(resolver: list[Any], black_hole: tuple[str, int], server: ScriptedServer) -> None:
    """RFC 8305: it costs a quarter of a second, not the whole timeout."""
    resolver += [black_hole, ("127.0.0.1", server.port)]
    begun = time.monotonic()
    with named(timeouts=Timeouts(connect=5)) as client:
        assert 0.2 < time.monotonic() - begun < 4
        assert client.send(MESSAGE).complete


def test_a_slow_first_address_may_still_win(resolver: list[Any], server: ScriptedServer, closed_port: int) -> None:
    """Refusals of the others do not stop an attempt that goes on."""
    resolver += [("127.0.0.1", server.port), ("127.0.0.1", closed_port), ("::1", closed_port)]
    with named() as client:
        assert client.send(MESSAGE).complete


def test_all_addresses_fail(resolver: list[Any], closed_port: int) -> None:
    """That there is no way to an address says less than what another one answered."""
    resolver += [("224.0.0.1", closed_port), ("127.0.0.1", closed_port)]
    with pytest.raises(SMTPConnectionRefused):
        named().connect()
    resolver.pop()
    with pytest.raises(SMTPUnreachableError, match="unreachable") as caught:
        named().connect()
    assert caught.value.errno == errno.ENETUNREACH


def test_losers_are_closed(
    resolver: list[Any], black_hole: tuple[str, int], server: ScriptedServer, recwarn: pytest.WarningsRecorder
) -> None:
    """No socket of the race is left behind."""
    resolver += [black_hole, ("127.0.0.1", server.port)]
    dial(Server("mail.example.com", security=Security.NONE), time.monotonic() + 5).close()
    assert [w.message for w in recwarn] == []


def test_accepted_and_reset_at_once() -> None:
    """A server that says 421 in place of a greeting and resets the connection is still heard (R4, R6)."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"421 4.7.0 too many connections\r\n")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        failed: list[OSError] = []
        assert racing.winner(_ended({sock.fileno(): sock}, 1), {sock.fileno(): sock}, failed) is sock
        assert sock.recv(100).startswith(b"421")
        assert failed == []


def test_the_source_address() -> None:
    """The connection comes from where the caller says."""
    places = []

    def talk(sock: socket.socket) -> None:
        places.append(sock.getpeername()[0])
        with Line(sock) as line:
            line.greet()
            line.drain()

    with peer(talk) as port, client_to(plain(port, source_address=("127.0.0.2", 0))):
        pass
    assert places == ["127.0.0.2"]


def test_the_source_address_chooses_the_family(resolver: list[Any], server: ScriptedServer) -> None:
    """An address of the other family is not even tried, and hides nobody's error."""
    resolver += [("::1", server.port), ("127.0.0.1", server.port)]
    with named(source_address=("127.0.0.1", 0)) as client:
        assert client.send(MESSAGE).complete


def test_a_wrong_source_address(server: ScriptedServer) -> None:
    """The error names it."""
    with pytest.raises(SMTPUnreachableError, match=r"source address 192\.0\.2\.1 cannot be used"):
        client_of(server, source_address=("192.0.2.1", 0)).connect()
    with pytest.raises(SMTPUnreachableError, match="no address of the server can be reached from ::1"):
        client_of(server, source_address=("::1", 0)).connect()


def test_no_unix_socket(tmp_path: Any) -> None:
    """A path without a socket says so."""
    with pytest.raises(SMTPUnreachableError, match=r"No such file.*Check the path of the socket") as caught:
        client_to(Server(path=str(tmp_path / "none"), lmtp=True)).connect()
    assert caught.value.phase is Phase.CONNECT
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_more_than_a_thousand_files(server: ScriptedServer) -> None:
    """A descriptor beyond what `select` can name is nothing special (FD_SETSIZE is 1024)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for one in [socket.socket() for _ in range(1100)]:
            stack.callback(one.close)
        sock = dial(client_of(server).server, time.monotonic() + 5)
        stack.callback(sock.close)
        with pytest.raises(ValueError, match="filedescriptor out of range"):
            select.select([sock], [], [], 0)
        with client_of(server) as client:
            assert client.send(MESSAGE).complete


def test_without_poll(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no `poll` (Windows, or hidden by a patch after import), `select` serves."""
    monkeypatch.delattr(select, "poll")
    with client_of(server) as client:
        assert client.send(MESSAGE).complete
