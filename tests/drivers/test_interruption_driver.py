"""What is no error of SMTP passes through: the connection is closed, the receipt logged."""

import io
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from mailbridge import Phase, SMTPException, State
from mailbridge.testing import ScriptedServer
from tests.drivers.helpers import BOTH, MESSAGE, Line, client_of, client_to, peer, plain

pytestmark = pytest.mark.usefixtures("driver")


class SoftLimit(BaseException):
    """What Celery or gevent would raise."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, SoftLimit])
def test_inside_a_token_provider(kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    """It passes on as it is; the message was not sent."""

    def provider(**options: bool) -> str:
        raise kind

    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        client = client_of(server, username="ann", token_provider=provider)
        with pytest.raises(kind):
            client.send(MESSAGE)
        server.wait_for(lambda: server.connections[0].ended == "client closed")
    assert not client.connected
    [record] = [r for r in caplog.records if r.levelno > logging.DEBUG]
    assert (record.levelname, vars(record)["not_sent"]) == ("ERROR", BOTH)
    assert kind.__name__ in record.message


def test_a_provider_that_fails() -> None:
    """An ordinary exception of the provider is an error at AUTH, with its cause: never a broken connection."""

    def provider(**options: bool) -> str:
        raise ConnectionResetError("the identity provider hung up")

    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        client = client_of(server, username="ann", token_provider=provider)
        with pytest.raises(SMTPException, match="the token provider failed: ConnectionResetError") as caught:
            client.send(MESSAGE)
    assert caught.value.phase is Phase.AUTH
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert not isinstance(caught.value, ConnectionResetError)
    assert not client.connected


@pytest.mark.parametrize("answer", [None, "", 17, {"access_token": "hush-hush"}])
def test_a_provider_that_gives_no_token(answer: object) -> None:
    """What is no token is never sent as one, and not shown either."""
    with ScriptedServer(accounts={"ann": "t"}, auth=("XOAUTH2",)) as server:
        client = client_of(server, username="ann", token_provider=lambda **options: answer)
        with pytest.raises(SMTPException, match="token provider failed") as caught:
            client.connect()
        assert not [line for line in server.lines if line.startswith(b"AUTH")]
    assert "hush-hush" not in str(caught.value.__cause__)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts here, also where a shell has started the tests in the background: those ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupting(serve: Callable[[Line], None]) -> Callable[[socket.socket], None]:
    """A server that lets somebody press Ctrl-C where its part ends."""

    def talk(sock: socket.socket) -> None:
        with Line(sock) as line:
            serve(line)
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            line.drain()

    return talk


def greeting_only(line: Line) -> None:
    line.say(b"220 ")


def up_to_rcpt(line: Line) -> None:
    line.greet()
    line.hear(b"MAIL")
    line.say(b"250 ok\r\n")
    line.hear(b"RCPT")


def up_to_the_content(line: Line) -> None:
    up_to_rcpt(line)
    line.say(b"250 ok\r\n")
    line.hear(b"RCPT")
    line.say(b"250 ok\r\n")
    line.hear(b"DATA")
    line.say(b"354 go\r\n")
    line.until_dot()


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("serve", "state"),
    [
        (greeting_only, State.NOT_SENT),
        (up_to_rcpt, State.NOT_SENT),
        (up_to_the_content, State.UNKNOWN),
    ],
)
def test_ctrl_c(serve: Callable[[Line], None], state: State, caplog: pytest.LogCaptureFixture) -> None:
    """A real one, at the greeting, in the envelope and behind the content: the record says what that means."""
    with peer(interrupting(serve)) as port:
        client = client_to(plain(port))
        with pytest.raises(KeyboardInterrupt):
            client.send(MESSAGE)
        assert not client.connected
    [record] = [r for r in caplog.records if r.levelno > logging.DEBUG]
    assert (record.levelname, vars(record)[str(state)]) == ("ERROR", BOTH)


def test_the_next_message_after_an_interruption(server: ScriptedServer) -> None:
    """The dialogue that was broken off is never taken up: the next message has a connection of its own."""

    class Interrupted(io.BytesIO):
        """A file whose reader is interrupted once the envelope stands."""

        def read(self, size: int | None = -1) -> bytes:
            if any(line.startswith(b"RCPT") for line in server.lines):
                raise SoftLimit
            return super().read(size)

    with client_of(server) as client:
        with pytest.raises(SoftLimit):
            client.send(Interrupted(MESSAGE))
        assert not client.connected
        assert client.send(MESSAGE).complete
    assert [(m.connection, m.content) for m in server.messages] == [(2, MESSAGE)]


def test_interrupted_in_the_middle_of_a_with(server: ScriptedServer) -> None:
    """Whatever leaves the block, the connection is closed."""
    with pytest.raises(SoftLimit), client_of(server):
        raise SoftLimit
    server.wait_for(lambda: server.connections[0].ended)
