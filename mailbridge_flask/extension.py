"""`Mail`: the extension. It holds no state of an app, and alone asks Flask which app is the current one."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from flask import Flask, current_app, has_app_context
from flask.logging import default_handler, has_level_handler

from mailbridge import Receipt, SMTPInputError

from . import cli, signals
from .config import Settings
from .message import Message
from .sources import mailers
from .state import Connection, MailState


class Mail:
    """Sends mail from Flask apps.

    Args:
        app: The app, or None where `init_app` comes later.

    Example:
        >>> mail = Mail(app)
        >>> receipt = mail.send(Message("Hello", recipients=["ann@example.org"], body="Hello Ann!"))
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._states: weakref.WeakKeyDictionary[Flask, MailState] = weakref.WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> MailState:
        """Read the MAIL_* keys of an app and make its mail state; nothing is connected.

        Args:
            app: The app, with its configuration complete.

        Returns:
            The state, which is also `app.extensions["mail"]` and `["mailbridge"]`.

        Raises:
            RuntimeError: The app has a mail extension already.
            SMTPInputError: A setting is wrong; the sentence names its key.
        """
        for name in ("mailbridge", "mail"):
            if name in app.extensions:
                raise RuntimeError(f"the app {app.name!r} has a mail extension already: call init_app once")
        settings = Settings.of(app.config, debug=app.debug)
        state = MailState(app, settings)
        for name, keys in mailers(app.config).items():
            state.mailers[name] = MailState(app, _settings_of(name, keys, debug=app.debug), name)
        for mailer in (state, *state.mailers.values()):
            if not mailer.suppress:
                mailer.settings.describe()
        app.extensions["mail"] = app.extensions["mailbridge"] = self._states[app] = state
        app.cli.commands.setdefault("mail", cli.group)
        if settings.debug:
            _show_debug_records()
        return state

    @property
    def state(self) -> MailState | None:
        """The state of the current app, or else of the only app; None where neither is there."""
        if has_app_context() and (found := self._states.get(_current_app())):
            return found
        states = list(self._states.values())
        return states[0] if len(states) == 1 else None

    @property
    def app(self) -> Flask | None:
        """The app of `state`, or None."""
        return self.state.app if self.state else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (state := self.state) is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(state, name)

    def __getitem__(self, name: str) -> MailState:
        """A mailer of MAIL_MAILERS by its name, in the current app; "default" is that of the MAIL_* keys."""
        return self._state[name]

    @property
    def _state(self) -> MailState:
        if state := self.state:
            return state
        if self._states:
            raise RuntimeError("this Mail serves several apps: push the context of the one that sends")
        raise RuntimeError("this Mail serves no app: call mail.init_app(app) first")

    def connect(self) -> Connection:
        """What several messages are sent by; `with` makes sure that a server is there."""
        return self._state.connect()

    def send(self, message: Message) -> Receipt | None:
        """Send one message; see `Connection.send`."""
        return self._state.send(message)

    async def asend(self, message: Message) -> Receipt | None:
        """Send one message from an async view; see `MailState.asend`."""
        return await self._state.asend(message)

    def send_message(self, *args: Any, **kwargs: Any) -> Receipt | None:
        """Send a `Message` of these arguments."""
        return self._state.send_message(*args, **kwargs)

    def record_messages(self) -> AbstractContextManager[list[Message]]:
        """Record the messages that leave, or would leave; see `mailbridge_flask.signals.record_messages`."""
        return signals.record_messages()


def _settings_of(name: str, keys: Mapping[str, Any], *, debug: bool) -> Settings:
    """The settings of a named mailer; an error says whose they are."""
    try:
        return Settings.of(keys, debug=debug)
    except SMTPInputError as error:
        raise SMTPInputError(f"MAIL_MAILERS[{name!r}]: {error}") from None


def _current_app() -> Flask:
    """The app itself, behind Flask's proxy."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way to it
    return app


def _show_debug_records() -> None:
    """Show our records in the terminal, as Flask shows those of its own logger."""
    logger = logging.getLogger("mailbridge")
    if not logger.level:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)


def _settings_here() -> Settings | None:
    """The settings of the current app, for messages written in it."""
    state = current_app.extensions.get("mailbridge") if has_app_context() else None
    return state.settings if isinstance(state, MailState) else None


Message.here = staticmethod(_settings_here)
