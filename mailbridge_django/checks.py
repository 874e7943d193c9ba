"""System checks: what is wrong with a site's mail, said at start and without asking anybody on the network.

`docs/system-checks.md` says of each what to do. An id is never used for another thing.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from mailbridge import Security, Server, SMTPInputError

from . import conf
from .backends import Backend

# The ports where a server speaks TLS at once, or waits for STARTTLS (RFC 8314 section 7.3, RFC 6409 section 3.1).
_PORTS = {465: {Security.IMPLICIT}, 587: {Security.STARTTLS}, 25: set(Security) - {Security.IMPLICIT}}

HINTS = {
    "mailbridge.E001": "Correct the value; docs/django.md lists what each option takes.",
    "mailbridge.E002": "Leave one of them out: use_tls is STARTTLS (port 587), use_ssl is TLS at once (port 465).",
    "mailbridge.E003": "Say it in one place, or say the same in both.",
    "mailbridge.W001": "Set use_tls (port 587) or use_ssl (port 465), and leave out allow_plaintext_auth.",
    "mailbridge.W002": "Set use_tls (port 587) or use_ssl (port 465).",
    "mailbridge.W003": "Name the CA with ca_file instead; it may be a private one.",
    "mailbridge.W004": "Set deadline (a whole send) or timeout (each reply), or silence this if the default suits you.",
    "mailbridge.W005": "Use 465 with TLS at once, 587 with STARTTLS; 25 is for servers among themselves.",
    "mailbridge.W006": "Write its dotted path as a string, so that settings hold nothing but values.",
}


def check_mailers(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Every mailer of the site whose backend is ours."""
    return [message for alias in conf.aliases() for message in _mailer(alias)]


def _mailer(alias: str | None) -> Iterator[checks.CheckMessage]:
    try:
        kind = import_string(conf.backend_path(alias))
    except ImportError:
        return  # Django says so when mail is sent
    if not (isinstance(kind, type) and issubclass(kind, Backend)):
        return
    options = conf.options(alias)
    try:
        backend = kind(alias=alias, **options)
        server = backend.server
    except (ImproperlyConfigured, ValueError, TypeError) as error:
        yield _message(getattr(error, "check", "mailbridge.E001"), str(error), alias)
        return
    for number, text in _warnings(backend, server):
        yield _message(f"mailbridge.{number}", text, alias)
    if callable(conf.said("token_provider", options)):
        yield _message("mailbridge.W006", "token_provider is an object of Python.", alias)


def _warnings(backend: Backend, server: Server) -> Iterator[tuple[str, str]]:
    if server.security in {Security.NONE, Security.OPPORTUNISTIC} and not _is_near(server):
        if server.wants_login:
            yield "W001", f"The password for {server.host} travels in clear."
        else:
            yield "W002", f"Mail to {server.host} travels in clear."
    elif server.danger_accept_any_certificate or not _verifies(server.ssl_context):
        yield "W003", f"The certificate of {server.host} is not verified: anybody between can read the mail."
    if backend.timeout is None and not backend.timeouts:
        yield (
            "W004",
            f"No timeout is set; by default a request may wait {server.timeouts.send:g} seconds for a slow server.",
        )
    if server.host and server.security not in _PORTS.get(server.port, set(Security)) and not _is_near(server):
        yield "W005", f"Port {server.port} and security={server.security} do not fit."


def _is_near(server: Server) -> bool:
    """Nothing leaves this machine."""
    try:
        return bool(server.path) or Server(server.host, security=Security.NONE).may_log_in_plainly
    except SMTPInputError:
        return False


def _verifies(context: ssl.SSLContext | None) -> bool:
    return context is None or (context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname)


def _message(number: str, text: str, alias: str | None) -> checks.CheckMessage:
    kind = checks.Error if ".E" in number else checks.Warning
    place = f"MAILERS[{alias!r}]: " if alias is not None and not text.startswith("MAILERS[") else ""
    return kind(place + text, hint=HINTS[number], id=number)
