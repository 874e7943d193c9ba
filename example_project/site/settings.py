"""The settings of a site that sends mail. Everything about the server comes from the environment."""

import os

EMAIL_BACKEND = "mailbridge_django.Backend"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = os.environ.get("EMAIL_PORT", "587")
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = True
EMAIL_TIMEOUT = 10
# The embedded server's certificate is made on the spot; a public server needs no ca_file.
MAILBRIDGE = {"ca_file": os.environ.get("EMAIL_CA_FILE")}
# From Django 6.1 on the same can be said as
# MAILERS = {"default": {"BACKEND": "mailbridge_django.Backend", "OPTIONS": {"host": ..., "use_tls": True, ...}}}

DEFAULT_FROM_EMAIL = "Example Site <site@example.com>"

# The rest has nothing to do with mail.
SECRET_KEY = os.environ.get("SECRET_KEY", "only for the demo")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
INSTALLED_APPS = ["mailbridge_django", "example_project.site"]
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
