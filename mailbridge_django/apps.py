"""The app. Sending works without it in INSTALLED_APPS."""

from django.apps import AppConfig
from django.core.checks import register

from .checks import check_mailers


class MailbridgeConfig(AppConfig):
    """mailbridge for Django."""

    name = "mailbridge_django"
    verbose_name = "Mail"

    def ready(self) -> None:
        """Register the checks."""
        register(check_mailers, "mail")
