"""`Inbox`: an embedded mail server that takes mail and keeps it. Needs the extra `testing`."""

import asyncio
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mailbridge.testing.awaiting import PATIENCE, Awaited
from mailbridge.testing.certificates import Authority
from mailbridge.testing.mailroom import Mailroom
from mailbridge.testing.settings import TLSMode

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP


class Inbox(Mailroom, Awaited):
    """An SMTP server on loopback, made of aiosmtpd; for `with` and `async with`, safe from any thread.

    Args:
        tls: None, "starttls" or "implicit", with a certificate made on the spot.
        accounts: User to password; with "starttls", AUTH is offered under TLS only.
        require_auth: Answer 530 to MAIL before a login.
        max_size: Octets that a message may have.
        port: 0 for any free one.
    """

    def __init__(
        self,
        *,
        tls: TLSMode | None = None,
        accounts: Mapping[str, str] | None = None,
        require_auth: bool = False,
        max_size: int = 33_554_432,
        port: int = 0,
    ) -> None:
        super().__init__()
        self.host = "127.0.0.1"
        self.port = port
        self._tls: TLSMode | None = tls
        self._accounts = accounts or {}
        self._require_auth = require_auth
        self._max_size = max_size

    @cached_property
    def _authority(self) -> Authority:
        return Authority()

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="inbox-")

    @cached_property
    def ca_file(self) -> str:
        """The certificate that a client must trust, in a file that lives as long as the inbox."""
        path = Path(self._folder.name, "ca.pem")
        path.write_bytes(self._authority.ca_pem)
        return str(path)

    def __enter__(self) -> Self:
        if find_spec("aiosmtpd") is None:
            raise ModuleNotFoundError("an Inbox needs aiosmtpd: install mailbridge-smtp[testing]", name="aiosmtpd")
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()
        self._started.result(PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self._folder.cleanup()
        if self._thread.is_alive() and error is None:
            raise RuntimeError("the inbox did not stop")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # raised again where the inbox was started
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        from mailbridge.testing.hooks import Hooks, protocol  # noqa: PLC0415  # aiosmtpd is an extra

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        hooks = Hooks(self, self._accounts, require_auth=self._require_auth)
        context = self._authority.server_context() if self._tls else None
        clients: list[SMTP] = []

        def connected() -> "SMTP":
            clients.append(protocol(hooks, self._tls, context, self._max_size))
            return clients[-1]

        implicit = context if self._tls == "implicit" else None
        server = await self._loop.create_server(connected, self.host, self.port, ssl=implicit)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set_result(None)
        await self._stop.wait()
        server.close()
        await self._dismiss(clients)

    @staticmethod
    async def _dismiss(clients: list["SMTP"]) -> None:
        transports = [client.transport for client in clients if client.transport is not None]
        for transport in transports:
            # Python 3.11.2, Debian 12's, knows no abort of a TLS transport that is closed already.
            with suppress(AttributeError):
                transport.abort()  # type: ignore[attr-defined]  # aiosmtpd types it as a base transport
        # connection_lost is called in the next round of the loop.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
