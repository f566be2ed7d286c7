"""Django's system checks of CACHES: all that is wrong with every alias at once, with what to write instead.

`docs/reference/checks.md` lists them. No check asks a node or a name server: `dcache-admin doctor` does.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from ..errors import ConfigurationError
from . import alias, neighbours, production
from .entry import entries_of

_registered = False


def register() -> None:
    """Let `manage.py check` run these. For an application that is ready."""
    global _registered
    _registered = True
    checks.register(check_caches, checks.Tags.caches)
    checks.register(check_production, checks.Tags.caches, deploy=True)


def check_caches(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    return messages(settings.CACHES)


def check_production(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    return production.messages(entries_of(settings.CACHES))


def messages(caches: Mapping[str, Any]) -> list[checks.CheckMessage]:
    """What is wrong with these CACHES."""
    entries = entries_of(caches)
    return [*(message for entry in entries for message in alias.messages(entry)), *neighbours.messages(entries)]


def unusable(error: ConfigurationError) -> ImproperlyConfigured:
    """What an alias that can't be used raises where it is used.

    Where no installed app has registered the checks this raises at once, and `manage.py` prints it without a traceback.
    """
    if _registered:
        return ImproperlyConfigured(error.detail)
    from django.core.management.base import SystemCheckError  # Here: it is slow to import, and seldom needed.

    class Misconfigured(ImproperlyConfigured, SystemCheckError):
        """All that is wrong with CACHES."""

    found = [str(message) for message in messages(settings.CACHES) if message.is_serious()]
    raise Misconfigured("\n".join([error.detail, *found])) from error


__all__ = ["messages", "register", "unusable"]
