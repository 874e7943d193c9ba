"""`manage.py mailbridge_prune`: what it deletes."""

import datetime
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mailbridge_django.log.management.commands.mailbridge_prune import SLICE
from mailbridge_django.log.models import Delivery

pytestmark = pytest.mark.django_db


def prune(**options: Any) -> str:
    out = io.StringIO()
    call_command("mailbridge_prune", stdout=out, **options)
    return out.getvalue()


def delivered(*ages: int) -> None:
    """One row for each age in days, and a minute more."""
    now = timezone.now() - datetime.timedelta(minutes=1)
    Delivery.objects.bulk_create(
        Delivery(when=now - datetime.timedelta(days=age), state="accepted", recipient=f"{age}@example.org")
        for age in ages
    )


def test_old_rows_go() -> None:
    """Those that are older than so many days, and no others."""
    delivered(0, 29, 30, 400)
    assert prune(days=30) == "2 rows deleted\n"
    assert [row.recipient for row in Delivery.objects.all()] == ["0@example.org", "29@example.org"]


def test_a_dry_run() -> None:
    """It counts, and deletes nothing."""
    delivered(0, 30)
    assert prune(days=30, dry_run=True) == "1 rows would be deleted\n"
    assert Delivery.objects.count() == 2


def test_more_than_one_slice(django_assert_num_queries: Any) -> None:
    """A table of any size is deleted by statements of a bounded size."""
    delivered(*[30] * (2 * SLICE + 1))
    with django_assert_num_queries(4 + 3):
        assert prune(days=30) == f"{2 * SLICE + 1} rows deleted\n"


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_a_number_that_makes_no_sense(days: int) -> None:
    """It is refused, and nothing is deleted."""
    delivered(400)
    with pytest.raises(CommandError, match="--days is a number from 1"):
        prune(days=days)
    assert Delivery.objects.count() == 1
