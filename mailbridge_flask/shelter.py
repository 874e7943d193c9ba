"""The secrets among the MAIL_* keys, hidden before a variable holds them: a traceback may show variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailbridge import Secret, SMTPInputError

# A token in the place of its provider is a mistake, and a secret all the same.
_SECRETS = {"PASSWORD", "URL", "TOKEN_PROVIDER"}


class Withheld:
    """What stands where a secret belongs, and is of a type that none has. Only the type is known.

    Attributes:
        kind: The type's name.
    """

    __slots__ = ("kind",)

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__


def sheltered(config: Mapping[str, Any]) -> dict[str, Any]:
    """The MAIL_* keys of a configuration, secrets as a `Secret` (WIRE.md S16). What others keep there is left out.

    Raises:
        SMTPInputError: A secret holds what UTF-8 does not have.
    """
    try:
        return {key: _hidden(key, value) for key, value in config.items() if key.startswith("MAIL_")}
    except SMTPInputError as error:
        raise error.with_traceback(None) from None
    finally:
        del config


def _hidden(key: object, value: Any) -> Any:
    name = str(key).upper().removeprefix("MAIL_")
    if name == "MAILERS" and isinstance(value, Mapping):
        return {mailer: _keys(keys) for mailer, keys in value.items()}
    if name not in _SECRETS or value is None or value == "" or isinstance(value, Secret) or callable(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and name == "PASSWORD":
        return Secret(str(value))  # from_prefixed_env reads variables as JSON
    return Secret(value) if isinstance(value, str | bytes) else Withheld(value)


def _keys(keys: Any) -> Any:
    return {key: _hidden(key, value) for key, value in keys.items()} if isinstance(keys, Mapping) else keys
