"""Where secrets, user names and passwords come from: the settings, the environment, or a function of the site."""

import hmac
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import ConfigurationError


class FromEnvironment(NamedTuple):
    """A variable, which is read whenever a connection is made."""

    variable: str

    def __call__(self) -> str:
        return os.environ[self.variable]


def source(option: str, given: Any) -> Any:
    """Text, or a function that returns it; None: there is none. Raises ConfigurationError, which never shows it."""
    if isinstance(given, Mapping) and set(given) == {"env"} and isinstance(given["env"], str):
        if given["env"] not in os.environ:
            raise ConfigurationError(f"{option}: the environment has no {given['env']}")
        return FromEnvironment(given["env"])
    if given is None or callable(given) or (isinstance(given, str) and given):
        return given
    raise ConfigurationError(f'{option} is neither text nor a function that returns it, nor {{"env": "VARIABLE"}}')


def text(option: str, given: Any) -> str:
    """What it is now. Raises ConfigurationError where the site's function fails, or returns no text."""
    try:
        found = given() if callable(given) else given
    except Exception as error:
        raise ConfigurationError(f"{option}: {type(error).__name__} where it comes from") from error
    if not isinstance(found, str):
        raise ConfigurationError(f"{option}: what the function returns is no text")
    return found


def mark(key: str, known: tuple[bytes, ...]) -> str:
    """Stands in for a key, the same each time; without a secret of the site the key can't be found by it."""
    data = b"dcache key" + key.encode("utf-8", "surrogatepass")
    return f"key-{hmac.digest(known[0] if known else b'', data, 'sha256').hex()[:12]}"


def secret(given: Any) -> Any:
    """None, a function, or a tuple."""
    if given is None or callable(given):
        return given
    secrets = (given,) if isinstance(given, (str, bytes)) else given
    if not isinstance(secrets, (list, tuple)) or not all(isinstance(one, (str, bytes)) and one for one in secrets):
        raise ConfigurationError("secret is neither text nor bytes, nor a list of them, nor a function that returns it")
    if not secrets:
        raise ConfigurationError("secret is an empty list")
    return tuple(secrets)


def secrets(given: Any) -> tuple[bytes, ...]:
    """Those that `given`, as `secret` returns it, stands for now; without any, those of the site, if there is one."""
    found = secret(given() if callable(given) else given)
    if found is None:
        found = secret([key for key in _site_secrets() if key] or None)
    if callable(found):
        raise ConfigurationError("secret is a function that returns a function")
    return tuple(one.encode() if isinstance(one, str) else one for one in found or ())


def _site_secrets() -> list[Any]:
    from django.conf import settings  # Here: the manager's broker messages parse options where no settings are.
    from django.core.exceptions import ImproperlyConfigured

    try:
        return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    except ImproperlyConfigured:
        return []
