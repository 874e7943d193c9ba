"""A real WSGI server with threads: requests share the connections of their process."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

from mailbridge.testing import ScriptedServer
from tests.gunicorn import PATIENCE, serving

SITE = """
from django.conf import settings

settings.configure(
    SECRET_KEY="tests",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    EMAIL_BACKEND="mailbridge_django.Backend",
    MAILBRIDGE={{"url": {url!r}, "max_connections": 2, "max_messages": 1000}},
)

from asgiref.sync import async_to_sync
from django.core.mail import send_mail
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from mailbridge_django import asend_mail


def sync(request):
    return HttpResponse(send_mail("Hello", "Text", "ann@example.com", [request.GET["to"]]))


async def awaited(request):
    return HttpResponse(await asend_mail("Hello", "Text", "ann@example.com", [request.GET["to"]]))


urlpatterns = [path("sync", sync), path("async", awaited)]
application = get_wsgi_application()
"""


def test_threads_of_requests(tmp_path: Path, smtp_server: ScriptedServer) -> None:
    """Forty requests at once, half of them of async views: each mail arrives once, over two connections at most."""
    (tmp_path / "site_of_test.py").write_text(SITE.format(url=smtp_server.url))

    def get(number: int) -> bytes:
        page = "async" if number % 2 else "sync"
        with urlopen(f"{url}{page}?to={number}@example.org", timeout=PATIENCE) as answer:
            found: bytes = answer.read()
        return found

    with serving(tmp_path, "site_of_test", "-kgthread", "--threads=8") as url, ThreadPoolExecutor(20) as browsers:
        assert list(browsers.map(get, range(40))) == [b"1"] * 40

    arrived = Counter(message.recipients[0] for message in smtp_server.messages)
    assert arrived == {f"{number}@example.org": 1 for number in range(40)}
    assert len(smtp_server.connections) <= 2
