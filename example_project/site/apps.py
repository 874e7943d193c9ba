"""The site as a Django app, so that its receivers are connected."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The demo's site."""

    name = "example_project.site"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401, PLC0415  # connected by being imported, once the apps are there
