"""The settings of a site that sends mail. Everything about the server comes from the environment."""

import os
from pathlib import Path

EMAIL_BACKEND = "mailbridge_django.Backend"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = os.environ.get("EMAIL_PORT", "587")
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = True
EMAIL_TIMEOUT = 10
# Mail that is sent in a transaction leaves with its commit. The embedded server's certificate is made on the spot; a
# public server needs no ca_file.
MAILBRIDGE = {"on_commit": True, "ca_file": os.environ.get("EMAIL_CA_FILE")}
# From Django 6.1 on the same can be said as
# MAILERS = {"default": {"BACKEND": "mailbridge_django.Backend", "OPTIONS": {"host": ..., "use_tls": True, ...}}}

DEFAULT_FROM_EMAIL = "Example Site <site@example.com>"

# mailbridge_django brings checks and commands, mailbridge_django.log the history and its chart.
INSTALLED_APPS = ["mailbridge_django", "mailbridge_django.log", "django.contrib.staticfiles", "example_project.site"]

# The rest has nothing to do with mail.
SECRET_KEY = os.environ.get("SECRET_KEY", "only for the demo")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("DATABASE", "site.sqlite3")}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
ROOT_URLCONF = "example_project.site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
WSGI_APPLICATION = "example_project.site.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATICFILES_DIRS = [Path(__file__).parents[1] / "look"]
