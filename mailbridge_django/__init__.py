"""Django's mail through mailbridge: `EMAIL_BACKEND = "mailbridge_django.Backend"`.

On Django 6.1 also `MAILERS = {"default": {"BACKEND": "mailbridge_django.Backend", "OPTIONS": {…}}}`.
Each message has its receipt afterwards, `message.mailbridge_receipt`, and the signals in
`mailbridge_django.signals` tell what became of it.
"""

from .asend import asend_mail, asend_messages
from .backends import Backend

__all__ = ["Backend", "asend_mail", "asend_messages"]
