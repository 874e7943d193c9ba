"""Who sends. Each module drives one library, by what its own documentation recommends for speed."""

from __future__ import annotations

from importlib import import_module

from .base import Driver, Target

# A name → module and class. A module whose library is missing leaves its cells empty.
REGISTRY = {
    "smtplib": "standard:Smtplib",
    "aiosmtplib": "aio:Aiosmtplib",
    "aiosmtplib+uvloop": "aio:AiosmtplibUvloop",
    "Django": "django:Warm",
    "Django send_mail": "django:SendMail",
    "Flask-Mail": "flask:FlaskMail",
    "Nodemailer": "node",
    "mailbridge": "ours:Single",
    "mailbridge canonical": "ours:Canonical",
    "mailbridge file": "ours:File",
    "mailbridge send_many": "ours:Many",
    "mailbridge send_many overlap": "ours:ManyOverlap",
    "mailbridge threads": "ours:Threads",
    "mailbridge asyncio": "ours_async:Single",
    "mailbridge asyncio+uvloop": "ours_async:SingleUvloop",
    "mailbridge tasks": "ours_async:Tasks",
    "mailbridge Django": "django:OursWarm",
    "mailbridge Django send_mail": "django:OursSendMail",
}


def driver(name: str, target: Target) -> Driver:
    """A driver that is not open yet.

    Raises:
        ImportError: Its library is not here.
        AttributeError: The library has not what it drives.
    """
    module, _, kind = REGISTRY[name].partition(":")
    made: Driver = getattr(import_module(f"{__name__}.{module}"), kind)(target)
    return made
