"""The history in the admin: to be read, searched and looked at as a chart; written by mail alone."""

from __future__ import annotations

import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from mailbridge import State

from . import chart
from .models import Delivery

PERIODS = (30, 7, 90)
DOMAINS = 10

_STATES = {str(state): Count("pk", filter=Q(state=str(state))) for state in State}


@admin.register(Delivery)
class DeliveryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs, not in Django
    """What became of each message for each recipient."""

    list_display = ("when", "recipient", "state", "code", "enhanced", "text", "queue_id", "alias")
    list_filter = ("state", "when", "code")
    search_fields = ("recipient", "domain", "queue_id", "message_id")
    search_help_text = "Recipient, domain, queue id or Message-ID."
    date_hierarchy = "when"
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Mail adds the rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """What happened has happened."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Django's, and the chart."""
        view = self.admin_site.admin_view(self.chart_view)
        return [path("chart/", view, name="mailbridge_log_delivery_chart"), *super().get_urls()]

    def chart_view(self, request: HttpRequest) -> HttpResponse:
        """Recipients in each state, per day and per domain, over the last `?days=`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("days", "")
        days = next((period for period in PERIODS if str(period) == asked), PERIODS[0])
        today, start = _period(days)
        rows = self.get_queryset(request).filter(when__gte=start)
        context = {
            **self.admin_site.each_context(request),
            "title": "Chart of deliveries",
            "opts": self.opts,
            "days": days,
            "periods": sorted(PERIODS),
            "states": chart.LEGEND,
            "width": chart.WIDTH,
            "by_day": chart.bars(chart.every_day(_per_day(rows), today, days)),
            "by_domain": chart.bars(_per_domain(rows)),
        }
        return TemplateResponse(request, "admin/mailbridge_log/delivery/chart.html", context)


def _period(days: int) -> tuple[datetime.date, datetime.datetime]:
    """Today, and the first moment of a period that ends with it, in the site's time zone if it has one."""
    now = timezone.now()
    today = (timezone.localtime(now) if timezone.is_aware(now) else now).date()
    start = datetime.datetime.combine(today - datetime.timedelta(days=days - 1), datetime.time.min)
    return today, timezone.make_aware(start) if timezone.is_aware(now) else start


def _per_day(rows: QuerySet[Delivery]) -> dict[datetime.date, chart.Counts]:
    found: Any = rows.order_by().annotate(day=TruncDate("when")).values("day").annotate(**_STATES)
    return {row["day"]: row for row in found}


def _per_domain(rows: QuerySet[Delivery]) -> list[tuple[object, chart.Counts]]:
    """The domains with the most recipients."""
    found: Any = rows.order_by().values("domain").annotate(total=Count("pk"), **_STATES).order_by("-total", "domain")
    return [(row["domain"] or "(none)", row) for row in found[:DOMAINS]]
