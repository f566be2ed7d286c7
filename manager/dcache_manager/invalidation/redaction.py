"""Keys of the log of invalidations, as they may be shown (`OPTIONS["redact_keys"]`)."""

from django.conf import settings
from django.core.cache import caches

from django_dcache.operations import Operations


def shown(alias: str, key: str) -> str:
    """A key or prefix of this alias. Of an alias that is no more nothing is shown, if any other hides its keys."""
    if alias in settings.CACHES:
        cache = caches[alias]
        return cache.fleet.configuration.shown(key) if isinstance(cache, Operations) else key
    options = (entry.get("OPTIONS") or {} for entry in settings.CACHES.values())
    return "key" if any(given.get("redact_keys") for given in options) else key
