"""From the rows of the history to the bars of the chart."""

from __future__ import annotations

import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from mailbridge import State

from . import chart
from .models import Delivery

DOMAINS = 10

_STATES = {str(state): Count("pk", filter=Q(state=str(state))) for state in State}


def recent(rows: QuerySet[Delivery], days: int) -> QuerySet[Delivery]:
    """The rows of the last days, today's among them."""
    return rows.filter(when__gte=_first_moment(days))


def per_day(rows: QuerySet[Delivery], days: int) -> list[chart.Bar]:
    """A bar for each of the last days, today first, days without mail too.

    Args:
        rows: What to count, such as `Delivery.objects.all()`.
        days: How many; in the site's time zone if it has one.
    """
    found: Any = recent(rows, days).order_by().annotate(day=TruncDate("when")).values("day").annotate(**_STATES)
    return chart.bars(chart.every_day({row["day"]: row for row in found}, _today(), days))


def per_domain(rows: QuerySet[Delivery], most: int = DOMAINS) -> list[chart.Bar]:
    """A bar for each domain, those with the most recipients first.

    Args:
        rows: What to count, such as `recent(Delivery.objects.all(), 30)`.
        most: How many domains.
    """
    found: Any = rows.order_by().values("domain").annotate(total=Count("pk"), **_STATES).order_by("-total", "domain")
    return chart.bars((row["domain"] or "(none)", row) for row in found[:most])


def _today() -> datetime.date:
    now = timezone.now()
    return (timezone.localtime(now) if timezone.is_aware(now) else now).date()


def _first_moment(days: int) -> datetime.datetime:
    start = datetime.datetime.combine(_today() - datetime.timedelta(days=days - 1), datetime.time.min)
    return timezone.make_aware(start) if timezone.is_aware(timezone.now()) else start
