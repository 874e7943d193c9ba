"""Mail from async code: the steps of `send_messages`, without a loop that waits for the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from asgiref.sync import AsyncToSync, sync_to_async
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import connections

from .backends import Backend
from .batches import Item, Rules, outcome, report


async def asend_mail(
    subject: str,
    message: str,
    from_email: str | None,
    recipient_list: Iterable[str],
    *,
    html_message: str | None = None,
    using: str | None = None,
    fail_silently: bool = False,
) -> int:
    """Send one message, as Django's `send_mail` does.

    Args:
        subject: Its subject.
        message: Its text.
        from_email: Its sender; None for DEFAULT_FROM_EMAIL.
        recipient_list: Who gets it, all in To.
        html_message: The same text as HTML.
        using: A mailer of MAILERS; None for the default one.
        fail_silently: Raise nothing of the send.

    Returns:
        1 where somebody accepted it, else 0.

    Raises:
        SMTPException: It failed.
    """
    built = EmailMultiAlternatives(subject, message, from_email, list(recipient_list))
    if html_message:
        built.attach_alternative(html_message, "text/html")
    return await asend_messages([built], using=using, fail_silently=fail_silently)


async def asend_messages(
    messages: Iterable[EmailMessage], *, using: str | None = None, fail_silently: bool = False
) -> int:
    """Send a batch with the signals, receipts and errors of `Backend.send_messages`.

    Receivers run where Django runs all sync code of an async view. A backend that is not ours is called there too.

    Args:
        messages: The batch.
        using: A mailer of MAILERS; None for the default one.
        fail_silently: Raise nothing of the send.

    Returns:
        How many messages were accepted, each for at least one recipient.

    Raises:
        SMTPException: The first failure, with the receipts of the whole batch in `receipts`.
    """
    backend = await sync_to_async(_backend)(using, fail_silently)
    if not isinstance(backend, Backend):
        return int(await sync_to_async(backend.send_messages)(list(messages)) or 0)
    rules = backend.rules
    items, waiting = await sync_to_async(backend.begin)(messages, rules)
    await _deliver(backend, items, rules)
    await sync_to_async(report)(items, rules)
    return outcome(items, rules) + waiting


def _backend(using: str | None, fail_silently: bool) -> Any:
    # `mailers` came with Django 6.1, which warns where `get_connection` is called.
    if hasattr(mail, "mailers"):
        backend = mail.mailers.default if using is None else mail.mailers[using]
    elif using is None:
        backend = mail.get_connection()
    else:
        raise TypeError("using names a mailer of MAILERS, which came with Django 6.1")
    if fail_silently:
        backend.fail_silently = True
    return backend


# Deliveries under way; a loop keeps no task alive by itself.
_deliveries: set[asyncio.Task[None]] = set()


async def _deliver(backend: Backend, items: list[Item], rules: Rules) -> None:
    """Wait for the server: in this loop where it lives on, and keeps connections; else in a worker thread."""
    work = _Work(backend, items, rules)
    in_loop = _lives_on() and not backend.has_own_context
    task = asyncio.create_task(work.run() if in_loop else asyncio.to_thread(work.run_in_thread))
    _deliveries.add(task)
    task.add_done_callback(_deliveries.discard)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if work.leave():
            await sync_to_async(report)(items, rules)
        raise


def _lives_on() -> bool:
    """This loop is not one that `async_to_sync` made for one call."""
    return asyncio.get_running_loop() not in AsyncToSync.loop_thread_executors


class _Work:
    """A delivery. A task that is cancelled leaves it behind, and whoever is last tells what became of it."""

    def __init__(self, backend: Backend, items: list[Item], rules: Rules) -> None:
        self._backend, self._items, self._rules = backend, items, rules
        self._lock = threading.Lock()
        self._finished = self._left = False

    async def run(self) -> None:
        await self._backend.adeliver(self._items, self._rules)
        if self._finish():
            await sync_to_async(report)(self._items, self._rules)

    def run_in_thread(self) -> None:
        self._backend.deliver(self._items, self._rules)
        if self._finish():
            # The loop may have ended, so this thread is the only one that is left for receivers.
            report(self._items, self._rules)
            connections.close_all()

    def leave(self) -> bool:
        """The task is cancelled. True where the delivery is over, and nobody has told of it."""
        with self._lock:
            self._left = True
            return self._finished

    def _finish(self) -> bool:
        """The delivery is over. True where the task has left it, and nobody else will tell of it."""
        with self._lock:
            self._finished = True
            return self._left
