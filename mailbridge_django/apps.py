"""The app. Sending works without it in INSTALLED_APPS."""

from django.apps import AppConfig


class MailbridgeConfig(AppConfig):
    """mailbridge for Django."""

    name = "mailbridge_django"
    verbose_name = "Mail"
