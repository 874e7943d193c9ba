"""What programs and their tests put in our place: sockets of their own, and methods."""

import io
import socket
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from mailbridge import smtplib

SCRIPT = b"220 hi\r\n250 me\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n221 bye\r\n"


class Bare:
    """The least that the standard module needs of a socket."""

    def __init__(self) -> None:
        near, far = socket.socketpair()
        with near, far:
            far.sendall(SCRIPT)
            self.file = near.makefile("rb")

    def makefile(self, mode: str) -> io.BufferedReader:
        return self.file

    def sendall(self, octets: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class Timed(Bare):
    """The same with a timeout, and a file of octets in memory."""

    def __init__(self) -> None:
        self.file = io.BufferedReader(io.BytesIO(SCRIPT))

    def gettimeout(self) -> None:
        pass

    def settimeout(self, timeout: float | None) -> None:
        pass


def _scripted(double: Any) -> Any:
    double.makefile.return_value = io.BytesIO(SCRIPT)
    return double


@pytest.mark.parametrize(
    "make",
    [
        Bare,
        Timed,
        lambda: _scripted(mock.MagicMock(spec=socket.socket)),
        lambda: _scripted(mock.create_autospec(socket.socket, instance=True)),
    ],
)
def test_a_double_speaks_from_its_own_file(make: Callable[[], Any]) -> None:
    """All of its replies may lie there from the beginning; a mock with a spec is no socket."""
    with mock.patch("mailbridge.smtplib.socket.create_connection", return_value=make()):
        client = smtplib.SMTP("mail.example", 25, "client.test")

    assert client.sendmail("a@x", "b@y", b"hi") == {}
    assert client.quit() == (221, b"bye")


def test_a_socket_that_makes_its_own_file(serve, dial) -> None:
    """A subclass of the standard socket reads by the `makefile` that it brings."""
    made = []

    class Own(socket.socket):
        def makefile(self, *args: Any, **options: Any) -> Any:
            made.append(args)
            return super().makefile(*args, **options)

    client = dial(serve())
    client.sock, client.file = Own(fileno=client.sock.detach()), None

    assert [client.noop()[0], client.noop()[0]] == [250, 250]
    assert made == [("rb",)]


def test_close_is_not_called_before_anything_is_open(serve) -> None:
    """A subclass may need in it what its constructor sets after ours."""

    class Mine(smtplib.SMTP):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.closed = 0

        def close(self) -> None:
            self.closed += 1
            super().close()

    server = serve()
    with Mine("localhost", server.port) as client:
        client.connect("localhost", server.port)
        assert client.closed == 1


def test_a_with_block_may_be_ended_by_hand(serve, dial) -> None:
    """`__exit__` needs no arguments."""
    client = dial(serve())
    client.__exit__()

    assert client.sock is None


@pytest.mark.parametrize("method", ["mail", "rcpt"])
def test_a_method_of_the_programs_own_gets_what_sendmail_was_given(serve, dial, method: str) -> None:
    """It may make an address of what is none; by ours, that is refused before the first command."""

    def completed(self: Any, address: str, options: Any = ()) -> Any:
        return getattr(smtplib.SMTP, method)(self, address.replace(" at ", "@"), options)

    given = {"mail": ("a at x", "b@y"), "rcpt": ("a@x", "b at y")}[method]
    server = serve()
    with pytest.raises(smtplib.SMTPInputError):
        dial(server).sendmail(*given, b"hi")
    assert server.lines == []

    assert dial(server, type("Mine", (smtplib.SMTP,), {method: completed})).sendmail(*given, b"hi") == {}
    assert [(message.sender, message.recipients) for message in server.messages] == [("a@x", ("b@y",))]


def test_debug_output_without_a_console(serve, dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.stderr` is None in a program without one."""
    client = dial(serve())
    client.set_debuglevel(1)
    monkeypatch.setattr("sys.stderr", None)

    assert client.noop()[0] == 250
