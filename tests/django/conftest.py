"""A Django site for the tests, with EMAIL_* settings and, on Django 6.1, with MAILERS as well."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.conf import settings as site_settings

from mailbridge.testing import Inbox, ScriptedServer

HAS_MAILERS = django.VERSION >= (6, 1)

if not site_settings.configured:
    site_settings.configure(
        ADMINS=["root@example.com"] if django.VERSION >= (6, 0) else [("Root", "root@example.com")],
        SECRET_KEY="tests",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # the others are slow on purpose
        USE_TZ=True,
        INSTALLED_APPS=[
            *(f"django.contrib.{app}" for app in ("admin", "auth", "contenttypes", "messages", "sessions")),
            "mailbridge_django.log",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        ROOT_URLCONF="tests.django.urls",
        STATIC_URL="static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", {"reset.txt": "{{ domain }} {{ token }}"}),
                        "django.template.loaders.app_directories.Loader",
                    ],
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ],
                },
            }
        ],
        DATABASES={name: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"} for name in ("default", "other")},
        # Where MAILERS is defined EMAIL_* are not to be touched, not even by Django's own test set-up.
        **({"MAILERS": {"default": {"BACKEND": "mailbridge_django.Backend"}}} if HAS_MAILERS else {}),
    )
    django.setup()

from django.apps import apps  # noqa: E402  # needs the settings
from django.core import mail  # noqa: E402  # needs the settings

from mailbridge_django import Backend, conf, signals  # noqa: E402  # needs the settings
from mailbridge_django.log import receivers  # noqa: E402  # needs the settings

# The history needs a database, which few tests have: only those that ask for `history` write it.
receivers.disconnect()

# Django 6.1 without MAILERS warns when a test sets or reads an EMAIL_* setting.
READING_WARNS = pytest.mark.filterwarnings(r"ignore:The EMAIL_\w+ setting is deprecated")


class Site:
    """The settings of a site, in one of the two ways to write them."""

    def __init__(self, settings: Any, *, mailers: bool) -> None:
        self.settings = settings
        self.mailers = mailers
        self.alias = "default" if mailers else None

    def use(self, server: ScriptedServer | Inbox, **options: Any) -> None:
        """Send mail to this server."""
        self.set(host=server.host, port=server.port, **options)

    def set(self, **options: Any) -> None:
        """Write options down as a site would."""
        if self.mailers:
            self.settings.MAILERS = {"default": {"BACKEND": "mailbridge_django.Backend", "OPTIONS": options}}
            return
        if HAS_MAILERS:
            del self.settings.MAILERS
        self.settings.EMAIL_BACKEND = "mailbridge_django.Backend"
        self.settings.MAILBRIDGE = {name: options[name] for name in conf.OURS if name in options}
        for name, setting in conf.DJANGO.items():
            if name in options:
                setattr(self.settings, setting, options[name])

    def backend(self, *, fail_silently: bool = False) -> Backend:
        """What `send()` would use."""
        if self.mailers:
            backend = mail.mailers.default
            backend.fail_silently = fail_silently
        else:
            backend = Backend(fail_silently=fail_silently)
        assert isinstance(backend, Backend)
        return backend


@pytest.fixture(
    params=[
        pytest.param(False, id="EMAIL", marks=[READING_WARNS] if HAS_MAILERS else []),
        *([pytest.param(True, id="MAILERS")] if HAS_MAILERS else []),
    ]
)
def site(request: pytest.FixtureRequest, settings: Any) -> Site:
    return Site(settings, mailers=request.param)


@pytest.fixture
def server(site: Site, smtp_server: ScriptedServer) -> ScriptedServer:
    """A scripted server that the site sends its mail to."""
    site.use(smtp_server)
    return smtp_server


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The signals that were sent: the name of each and its arguments."""
    found: list[tuple[str, dict[str, Any]]] = []
    receivers: dict[str, Callable[..., None]] = {}
    for name in ("message_sent", "recipients_refused", "message_failed", "outcome_unknown"):

        def hear(name: str = name, **arguments: Any) -> None:
            found.append((name, arguments))

        receivers[name] = hear
        getattr(signals, name).connect(hear)
    yield found
    for name, receiver in receivers.items():
        assert getattr(signals, name).disconnect(receiver)


@pytest.fixture
def history(db: None) -> Iterator[None]:
    """What becomes of each message is written down."""
    apps.get_app_config("mailbridge_log").ready()
    yield
    receivers.disconnect()


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, Any]]]:
    """Our records so far, of whatever logger, without those for debugging: level and record."""
    caplog.set_level(logging.DEBUG, "mailbridge")

    def ours() -> list[tuple[str, Any]]:
        found = (r for r in caplog.records if r.name.startswith("mailbridge") and r.levelno >= logging.INFO)
        return [(record.levelname, record) for record in found]

    return ours


def mails(*recipients: str) -> list[mail.EmailMessage]:
    """One message for each recipient; addresses with a comma between them share a message."""
    return [mail.EmailMessage("Hello", "Text", "ann@example.com", together.split(",")) for together in recipients]
