"""How a command gets to the nodes, where that is not what the project's OPTIONS say: TLS, and a login."""

import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from django_dcache.errors import ConfigurationError

from .target import Target

VARIABLE = "DCACHE_PASSWORD"
"""The environment variable. There is no option for the password itself: each user of a machine can list commands."""


def reached(
    target: Target,
    *,
    tls_ca: str | None = None,
    tls_cert: str | None = None,
    user: str | None = None,
    password_file: str | None = None,
    ask: Callable[[str], str],
) -> Target:
    """`target`, over TLS if a file of authorities or a certificate is named, and logged in if a user is.

    The password is the first line of a file, that of the environment, or what `ask` returns for a question. Raises
    ConfigurationError.
    """
    changes: dict[str, Any] = {}
    if tls_ca or tls_cert:
        changes["tls"] = _context(tls_ca, tls_cert)
    if password_file and not user:
        raise ConfigurationError("--password-file means nothing without --user")
    if user:
        changes |= {"username": user, "password": _password(user, password_file, ask)}
    if not changes:
        return target
    configuration = target.configuration
    return replace(target, configuration=replace(configuration, options=replace(configuration.options, **changes)))


def _context(tls_ca: str | None, tls_cert: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls_ca)
        if tls_cert:
            context.load_cert_chain(tls_cert)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors.
        raise ConfigurationError(f"--tls-ca or --tls-cert: {error}") from error
    return context


def _password(user: str, file: str | None, ask: Callable[[str], str]) -> str:
    if file:
        try:
            lines = Path(file).read_text().splitlines()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"--password-file: {error}") from error
        if not lines or not lines[0]:
            raise ConfigurationError(f"--password-file {file}: its first line is empty")
        return lines[0]
    return os.environ.get(VARIABLE) or ask(f"Password of {user}")
