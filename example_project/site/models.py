"""Who signed up."""

from django.db import models


class Member(models.Model):
    """Somebody who gets mail, as long as their address takes it."""

    email = models.EmailField(unique=True)
    confirmed = models.BooleanField(default=False)
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.email
