"""Where an option may stand, and which place wins. The only module that says `settings`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from mailbridge import AddressStyle, Secret, Security, Server, SMTPInputError, parse_url

from .options import DJANGO, FILES, MESSAGES, OURS, READERS, SYNONYMS, USUAL, read, sheltered

# An option's place, for errors, and its value.
Said = tuple[str, Any]
Layer = dict[str, Said]

# Where a constructor's argument comes from: from OPTIONS, or from a program.
_PLACES = ("OPTIONS[{0!r}]", "{0}")
# What holds where nobody says anything, as if it stood there.
_UNSAID = [{name: (place.format(name), USUAL.get(name)) for name in READERS} for place in _PLACES]
_FLAGS = {"use_tls": Security.STARTTLS, "use_ssl": Security.IMPLICIT}
_MODES = {DJANGO[name]: mode for name, mode in _FLAGS.items()}


def gather(alias: str | None, given: Mapping[str, object]) -> dict[str, Any]:
    """Complete a constructor's arguments from the settings.

    An argument or one of OPTIONS comes first, then MAILBRIDGE, then its `url`, then EMAIL_*, which count only where
    MAILERS is not used.

    Args:
        alias: The mailer's name in MAILERS, None where that is not used.
        given: The arguments, secrets as a `Secret`; None stands for one that was not given.

    Returns:
        A value for each option; the password as a `Secret`, `url` as what it says beyond the options.

    Raises:
        ImproperlyConfigured: A value that is wrong, or two that disagree; InvalidMailer where there is an alias.
        ValueError: EMAIL_USE_TLS and EMAIL_USE_SSL together, as in Django.
    """
    first, ours = _given(alias, given), _ours(alias)
    url, rest = _url(alias, _best("url", first, ours), _best("security", first, ours))
    layers = [first, ours, url, _django(alias, silent=bool(url))]
    _agree(alias, layers)
    if not any("host" in layer for layer in layers):
        raise wrong("OPTIONS must define 'host'.", alias)
    best = {name: said for layer in reversed(layers) for name, said in layer.items()}
    found = {name: best.get(SYNONYMS.get(name, name)) or usual for name, usual in _UNSAID[alias is None].items()}
    options = {name: value for name, (_, value) in found.items()}
    options |= _protection(layers) | {"url": rest, "timeouts": _timeouts(layers)}
    _check_files(alias, found, options)
    if isinstance(options["on_commit"], str) and options["on_commit"] not in settings.DATABASES:
        raise wrong(f"{found['on_commit'][0]} names no database of DATABASES: {options['on_commit']!r}", alias)
    return options


def wrong(text: str, alias: str | None, *, check: str = "mailbridge.E001") -> ImproperlyConfigured:
    """The error for a wrong setting; it names the mailer where there is one, and the check that reports it."""
    if alias is None:
        error = ImproperlyConfigured(text)
    else:
        from django.core.mail import InvalidMailer  # noqa: PLC0415  # Django 6.1, where aliases come from

        error = InvalidMailer(text, alias=alias)
    error.check = check  # type: ignore[attr-defined]  # ours to add
    return error


def exclusive(alias: str | None) -> Exception:
    """The error for TLS and SSL at once, in Django's words."""
    if alias is not None:
        text = "The 'use_ssl' and 'use_tls' OPTIONS are incompatible. Set at most one of them to True."
        return wrong(text, alias, check="mailbridge.E002")
    error = ValueError("EMAIL_USE_TLS/EMAIL_USE_SSL are mutually exclusive, so only set one of those settings to True.")
    error.check = "mailbridge.E002"  # type: ignore[attr-defined]  # as above
    return error


def aliases() -> list[str | None]:
    """The names of all mailers; None stands for the one that EMAIL_BACKEND makes."""
    return list(settings.MAILERS) if hasattr(settings, "MAILERS") else [None]


def backend_path(alias: str | None) -> str:
    """The dotted path of a mailer's backend."""
    if alias is None:
        return str(_quietly("EMAIL_BACKEND"))
    return str(settings.MAILERS[alias].get("BACKEND", ""))


def options(alias: str | None) -> dict[str, Any]:
    """The OPTIONS of a mailer."""
    return {} if alias is None else dict(settings.MAILERS[alias].get("OPTIONS", {}))


def said(name: str, options: Mapping[str, Any]) -> Any:
    """An option of ours as it is written: in OPTIONS, else in MAILBRIDGE."""
    return options.get(name) or getattr(settings, "MAILBRIDGE", {}).get(name)


def address_style(alias: str | None) -> AddressStyle:
    """How a mailer writes addresses down: `log_addresses`, as the settings say it."""
    style: AddressStyle = read("log_addresses", said("log_addresses", options(alias)) or USUAL["log_addresses"])
    return style


def redirected(url: str) -> dict[str, Any]:
    """Settings that send all mail to one server, for tests, and keep what the site says about messages."""
    kept = {name: value for name, value in getattr(settings, "MAILBRIDGE", {}).items() if name in MESSAGES}
    path = "mailbridge_django.Backend"
    if not hasattr(settings, "MAILERS"):
        nobody = {
            "EMAIL_HOST_USER": "",
            "EMAIL_HOST_PASSWORD": "",
            "EMAIL_SSL_KEYFILE": None,
            "EMAIL_SSL_CERTFILE": None,
        }
        found = parse_url(url)
        modes = {setting: found.get("security") == mode for setting, mode in _MODES.items()}
        return {
            "EMAIL_BACKEND": path,
            "MAILBRIDGE": {**kept, "url": url},
            **nobody,
            # Where a test overrides MAILBRIDGE the URL is gone, and these still say where its server is.
            "EMAIL_HOST": found["host"],
            "EMAIL_PORT": found["port"],
            **modes,
        }
    mailers = {
        alias: {
            "BACKEND": path,
            "OPTIONS": {name: value for name, value in options(alias).items() if name in MESSAGES} | {"url": url},
        }
        for alias in settings.MAILERS
    }
    return {"MAILERS": mailers, "MAILBRIDGE": kept}


# The layers, best first.


def _given(alias: str | None, given: Mapping[str, object]) -> Layer:
    return _layer(alias, given, _PLACES[alias is None])


def _ours(alias: str | None) -> Layer:
    mapping = getattr(settings, "MAILBRIDGE", {})
    values = sheltered(mapping) if isinstance(mapping, Mapping) else None
    del mapping  # its url may hold a password
    if values is None:
        raise wrong("MAILBRIDGE is a dictionary", alias)
    if unknown := [repr(key) for key in values if key not in OURS]:
        raise wrong(f"MAILBRIDGE has no key {', '.join(unknown)}; there are {', '.join(OURS)}", alias)
    return _layer(alias, values, "MAILBRIDGE[{0!r}]")


def _layer(alias: str | None, values: Mapping[str, object], place: str) -> Layer:
    layer: Layer = {}
    for name, value in values.items():
        if value is None or _is_empty(name, value):
            continue
        said = place.format(name)
        common = SYNONYMS.get(name, name)
        if common in layer:
            raise wrong(f"{layer[common][0]} and {said} are the same: leave one out", alias)
        layer[common] = said, _read(alias, said, name, value)
    return layer


def _is_empty(name: str, value: object) -> bool:
    """Django takes an empty host or port for one that was not given; so is a variable without a value."""
    return not value if name in {"host", "port"} else name in OURS and value in ("", Secret(""))


def _read(alias: str | None, place: str, name: str, value: object) -> Any:
    try:
        return read(name, value)
    except SMTPInputError as error:
        raise wrong(f"{place}: {error}", alias) from None
    except ValueError as error:
        raise wrong(f"{place} {error}", alias) from None


def _url(alias: str | None, said: Said | None, security: Said | None) -> tuple[Layer, dict[str, Any]]:
    """What a URL says: the options that it shares with the other places, and the rest."""
    if said is None:
        return {}, {}
    place, url = said
    try:
        attributes = parse_url(url.reveal().decode(), security[1] if security else None)
    except SMTPInputError as error:
        raise wrong(f"{place}: {error.with_traceback(None)}", alias) from None
    names = {SYNONYMS.get(name, name): name for name in attributes if name in READERS}
    layer = {common: (place, attributes.pop(name)) for common, name in names.items()}
    # A unix socket has neither: nobody else may say them.
    return {"host": (place, ""), "port": (place, 0)} | layer, attributes


def _django(alias: str | None, *, silent: bool) -> Layer:
    """EMAIL_*. Where a URL is given, their defaults are silent."""
    if alias is not None:
        return {}
    return {
        name: (setting, _read(alias, setting, name, _quietly(setting)))
        for name, setting in DJANGO.items()
        if not silent or settings.is_overridden(setting)
    }


def _quietly(setting: str) -> Any:
    """One of EMAIL_*, as Django's own backend reads it.

    From 6.1 on Django warns whoever reads them from outside of it. The site that wrote them was warned at its start;
    here nobody could do anything about it.
    """
    settings.is_overridden(setting)  # loads them, where nobody has asked for any yet
    return getattr(settings._wrapped, setting)  # noqa: SLF001 - there is no other way past the warning


def _best(name: str, *layers: Layer) -> Said | None:
    common = SYNONYMS.get(name, name)
    return next((layer[common] for layer in layers if common in layer), None)


# What the places say together.


def _agree(alias: str | None, layers: list[Layer]) -> None:
    """Two places that name different hosts or different security are a mistake, whichever would win."""
    first, _, url, django = layers
    if all(said and said[1] for said in (_best(name, *layers) for name in _FLAGS)):
        raise exclusive(alias)
    if "url" in first or "security" in first:
        django = {}  # an argument takes the place of EMAIL_*, as in Django
    if url:
        _same(alias, [layer["host"] for layer in (first, url, django) if "host" in layer])
    modes = [(place, Security(mode)) for place, mode in _modes(layers)]
    _same(alias, modes)
    for name, mode in _FLAGS.items():
        for layer in (first, django):
            if name in layer and (layer is first or settings.is_overridden(DJANGO[name])):
                _same(alias, [layer[name], *((place, said is mode) for place, said in modes)])


def _modes(layers: list[Layer]) -> list[Said]:
    """Where security is said by its name: by the option, and by the URL."""
    first, ours, url, _ = layers
    return [said for said in (_best("security", first, ours), _best("security", url)) if said]


def _same(alias: str | None, said: list[Said]) -> None:
    for place, value in said[1:]:
        if value != said[0][1]:
            raise wrong(f"{said[0][0]} and {place} disagree: leave one out", alias, check="mailbridge.E003")


def _protection(layers: list[Layer]) -> dict[str, Any]:
    """The two flags of Django, and what is done where neither is set: opportunistic TLS, or nothing."""
    if modes := _modes(layers):
        mode = Security(modes[0][1])
        plain = mode if mode is Security.OPPORTUNISTIC else Security.NONE
        return {"use_tls": mode is Security.STARTTLS, "use_ssl": mode is Security.IMPLICIT, "security": plain}
    flags = {name: bool((_best(name, *layers) or ("", False))[1]) for name in _FLAGS}
    if not any(flags.values()) and _asks_for_tls(layers):
        flags["use_tls"] = True
    return {**flags, "security": Security.NONE}


def _asks_for_tls(layers: list[Layer]) -> bool:
    """A URL that leaves security open asks for STARTTLS, unless the host is this machine or `use_tls` says no."""
    url = layers[2]
    if not url or _best("use_tls", *layers):
        return False
    return not Server(url["host"][1], security=Security.NONE).may_log_in_plainly


def _timeouts(layers: list[Layer]) -> dict[str, float]:
    """Seconds by the names of `Timeouts`. `timeout`, Django's one for all, leaves `deadline` alone."""
    found: dict[str, float] = {}
    for layer in reversed(layers):
        if layer.get("timeout", ("", None))[1]:
            found = {name: seconds for name, seconds in found.items() if name == "send"}
        found |= layer.get("timeouts", ("", {}))[1]
        if "deadline" in layer:
            found["send"] = layer["deadline"][1]
    return found


def _check_files(alias: str | None, found: Mapping[str, Said], options: Mapping[str, Any]) -> None:
    if options["ssl_keyfile"] and not options["ssl_certfile"]:
        raise wrong(f"{found['ssl_keyfile'][0]} without {found['ssl_certfile'][0]}", alias)
    if not options["use_tls"] and not options["use_ssl"]:
        return
    for name in FILES:
        try:
            if options[name]:
                Path(options[name]).open("rb").close()
        except (OSError, ValueError) as error:
            raise wrong(f"{found[name][0]} cannot be read: {error}", alias) from error
