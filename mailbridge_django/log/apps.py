"""The app. Nothing is written down unless it is installed."""

from django.apps import AppConfig

from . import receivers


class LogConfig(AppConfig):
    """The history of deliveries."""

    name = "mailbridge_django.log"
    label = "mailbridge_log"
    verbose_name = "Mail"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what becomes of each message."""
        receivers.connect()
