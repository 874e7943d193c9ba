"""`manage.py mailbridge_prune --days N`: forget what became of old mail."""

from __future__ import annotations

import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router
from django.utils import timezone

from ...models import Delivery

# Rows of one DELETE: locks are short, and no database has too many parameters (Oracle takes 1000, old SQLite 999).
SLICE = 500
CENTURY = 36_525


class Command(BaseCommand):
    """Delete the rows of old deliveries."""

    help = "Deletes the history of mail that is older than --days days."

    def add_arguments(self, parser: CommandParser) -> None:
        """How old, and whether to delete at all."""
        parser.add_argument("--days", type=int, required=True, metavar="N", help="Keep the last N days.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many rows would go.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete in slices, each in a transaction of its own: broken off, it has done part of the work.

        Raises:
            CommandError: The number of days makes no sense.
        """
        days = options["days"]
        if not 0 < days <= CENTURY:
            raise CommandError(f"--days is a number from 1 to {CENTURY}, not {days}")
        rows = Delivery.objects.using(router.db_for_write(Delivery))
        old = rows.filter(when__lt=timezone.now() - datetime.timedelta(days=days)).order_by("when")
        if options["dry_run"]:
            self.stdout.write(f"{old.count()} rows would be deleted")
            return
        deleted = 0
        while keys := list(old.values_list("pk", flat=True)[:SLICE]):
            deleted += rows.filter(pk__in=keys).delete()[0]
        self.stdout.write(f"{deleted} rows deleted")
