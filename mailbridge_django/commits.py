"""Mail that leaves when a transaction is committed, and not at all after a rollback."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db import DEFAULT_DB_ALIAS, transaction

from .batches import Item, Rules, report

Deliver = Callable[[list[Item], Rules], None]


def is_open(on_commit: bool | str) -> bool:
    """This thread is inside `atomic()` on the database that the option names; True names the default one."""
    return bool(on_commit) and transaction.get_connection(_database(on_commit)).in_atomic_block


def postpone(items: list[Item], rules: Rules, deliver: Deliver, on_commit: bool | str) -> list[Item]:
    """Render a batch now and send it after the commit.

    What cannot be rendered has its receipt now. All else goes to receipt, signal and log when the time comes, never to
    the code that commits: its data is in the database by then.

    Returns:
        The messages that wait for the commit.
    """
    for item in items:
        item.render(rules.staging, freeze=True)
    waiting = [item for item in items if item.receipt is None]
    for item in waiting:
        item.message.mailbridge_receipt = None  # type: ignore[attr-defined]  # ours to add
    if waiting:
        hook = partial(_send, waiting, rules, deliver)
        transaction.on_commit(hook, using=_database(on_commit), robust=True)
    return waiting


def _database(on_commit: bool | str) -> str:
    return on_commit if isinstance(on_commit, str) else DEFAULT_DB_ALIAS


def _send(items: list[Item], rules: Rules, deliver: Deliver) -> None:
    deliver(items, rules)
    report(items, rules)
