"""One row for each message and recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

from mailbridge import State

if TYPE_CHECKING:
    from datetime import datetime

    # Generic in the stubs, not in Django.
    Text = models.CharField[str, str]
    Number = models.PositiveSmallIntegerField[int | None, int | None]
    Moment = models.DateTimeField[datetime, datetime]

STATES = [(str(state), str(state).replace("_", " ")) for state in State]


class Delivery(models.Model):
    """What became of one message for one recipient."""

    when: Moment = models.DateTimeField(default=timezone.now)
    state: Text = models.CharField(max_length=16, choices=STATES)
    # A local part of 64 octets, an @ and a domain of 255 (RFC 5321 section 4.5.3.1).
    recipient: Text = models.CharField(max_length=320)
    domain: Text = models.CharField(max_length=255, blank=True)
    code: Number = models.PositiveSmallIntegerField(null=True, blank=True)
    enhanced: Text = models.CharField("enhanced code", max_length=16, blank=True)
    text: Text = models.CharField(max_length=500, blank=True)
    queue_id: Text = models.CharField("queue id", max_length=100, blank=True)
    message_id: Text = models.CharField("Message-ID", max_length=255, blank=True)
    alias: Text = models.CharField("mailer", max_length=100, blank=True)

    class Meta:
        """The list, the chart by day and by domain, and the pruning read by these."""

        verbose_name_plural = "deliveries"
        ordering = ("-when", "-pk")
        indexes = (
            models.Index(fields=["when"], name="mailbridge_log_when"),
            models.Index(fields=["state", "when"], name="mailbridge_log_state"),
            models.Index(fields=["domain", "when"], name="mailbridge_log_domain"),
        )

    def __str__(self) -> str:
        return f"{self.recipient} {self.state}"
