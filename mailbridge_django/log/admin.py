"""The history in the admin: to be read, searched and looked at as a chart; written by mail alone."""

from __future__ import annotations

import django
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from . import counts
from .models import Delivery

PERIODS = (30, 7, 90)


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
        rows = self.get_queryset(request)
        context = {
            **self.admin_site.each_context(request),
            "title": "Chart of deliveries",
            "opts": self.opts,
            "crumbs_are_listed": django.VERSION >= (6, 1),
            "days": days,
            "periods": sorted(PERIODS),
            "by_day": counts.per_day(rows, days),
            "by_domain": counts.per_domain(counts.recent(rows, days)),
        }
        return TemplateResponse(request, "admin/mailbridge_log/delivery/chart.html", context)
