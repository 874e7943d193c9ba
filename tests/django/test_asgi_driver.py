"""A real ASGI server, whose loop lives on: requests share the connections of the loop."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.urls import path

from mailbridge.testing import ScriptedServer
from mailbridge_django import asend_mail

from .conftest import Site

PATIENCE = 10.0  # seconds
REQUESTS = 10


async def invite(request: HttpRequest) -> HttpResponse:
    """An async view that awaits its mail."""
    return HttpResponse(await asend_mail("Hello", "Text", "ann@example.com", ["bob@example.org"]))


def remind(request: HttpRequest) -> HttpResponse:
    """A sync view, as Django runs it under ASGI."""
    return HttpResponse(send_mail("Hello", "Text", "ann@example.com", ["bob@example.org"]))


async def both(request: HttpRequest) -> HttpResponse:
    """An async view that uses sync code as well."""
    sent = await sync_to_async(send_mail)("Hello", "Text", "ann@example.com", ["bob@example.org"])
    return HttpResponse(sent + await asend_mail("Hello", "Text", "ann@example.com", ["bob@example.org"]))


urlpatterns = [path("invite/", invite), path("remind/", remind), path("both/", both)]

Get = Callable[[str], bytes]


@contextmanager
def serving() -> Iterator[Get]:
    """Uvicorn with the views above, as long as the block lasts."""
    config = uvicorn.Config(get_asgi_application(), lifespan="off", loop="asyncio", log_level="error")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def get(page: str) -> bytes:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            try:
                connection.request("GET", page)
                return connection.getresponse().read()
            finally:
                connection.close()

        try:
            yield get
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def get(settings: Any, server: ScriptedServer) -> Iterator[Get]:
    settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = __name__, ["127.0.0.1"]
    with serving() as get:
        yield get


def carried(server: ScriptedServer) -> list[int]:
    """How many messages each connection carried."""
    return [connection.messages for connection in server.connections]


def test_one_request_after_the_other(server: ScriptedServer, get: Get) -> None:
    """Each awaits its mail; all of it goes over one connection."""
    assert [get("/invite/") for _ in range(REQUESTS)] == [b"1"] * REQUESTS
    assert carried(server) == [REQUESTS]


def test_many_requests_at_once(site: Site, server: ScriptedServer, get: Get) -> None:
    """They wait for the one connection that they may have, and none of them for ever."""
    site.use(server, max_connections=1)
    with ThreadPoolExecutor(REQUESTS) as browsers:
        assert list(browsers.map(get, ["/invite/"] * REQUESTS)) == [b"1"] * REQUESTS
    assert carried(server) == [REQUESTS]


def test_sync_views(server: ScriptedServer, get: Get) -> None:
    """Their connection is that of the process, beside that of the loop."""
    for page in ("/remind/", "/remind/", "/both/", "/both/"):
        get(page)
    assert sorted(carried(server)) == [2, 4]


def test_a_server_after_another(settings: Any, server: ScriptedServer) -> None:
    """The next loop has a connection of its own, and that of the loop that ended is closed."""
    settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = __name__, ["127.0.0.1"]
    for _ in range(2):
        with serving() as get:
            get("/invite/")
    assert carried(server) == [1, 1]
    server.wait_for(lambda: server.connections[0].ended, PATIENCE)
