"""What is wrong in production only (`manage.py check --deploy`)."""

from ipaddress import ip_address
from typing import Any

import django
from django.conf import settings
from django.core import checks
from django.core.cache import DEFAULT_CACHE_ALIAS

from ..model.addresses import parse
from .entry import Entry, Messages

LOOPS = "django.contrib.sessions.backends.cache"
CACHED = (LOOPS, "django.contrib.sessions.backends.cached_db", "django_dcache.sessions")
"""The engines that keep sessions in a cache."""
PATCHED = {(5, 2): (5, 2, 19), (6, 0): (6, 0, 10), (6, 1): (6, 1, 3)}
"""By series, the release since which cached pages for different visitors have different keys (CVE-2026-113593)."""


def messages(entries: list[Entry]) -> list[checks.CheckMessage]:
    public = [message for entry in entries for message in _public(entry)]
    sessions = [message for entry in entries for message in _sessions(entry)]
    common = [message for entry in entries for message in _common_alias(entry)]
    return public + sessions + common + (outdated(django.VERSION) if entries else [])


def _sessions(entry: Entry) -> Messages:
    if settings.SESSION_ENGINE == LOOPS and settings.SESSION_CACHE_ALIAS == entry.alias:
        said = "Django's session engine tries ten thousand keys for each new session while no node answers"
        hint = "Set SESSION_ENGINE to the engine cached_db, which loses no session, or to django_dcache.sessions."
        yield entry.warning("W022", said, hint)


def _common_alias(entry: Entry) -> Messages:
    if settings.SESSION_ENGINE in CACHED and settings.SESSION_CACHE_ALIAS == entry.alias == DEFAULT_CACHE_ALIAS:
        said = "sessions lie among all other keys: a visitor who chooses a key that the site caches can write a session"
        hint = "Set SESSION_CACHE_ALIAS to an alias for sessions: the same nodes, and a KEY_PREFIX of its own."
        yield entry.warning("W023", said, hint)


def _public(entry: Entry) -> Messages:
    options = entry.configuration.options if entry.configuration else None
    if options is None or options.tls is not None:
        return
    if public := sorted(filter(_is_public, entry.addresses)):
        hint = "Let the nodes listen on private addresses behind a firewall, or give OPTIONS a 'tls' context."
        yield entry.warning("W020", f"{', '.join(public)} can be reached from the internet, without TLS or login", hint)


def _is_public(address: str) -> bool:
    try:
        return any(ip_address(endpoint[0]).is_global for endpoint in parse(address).endpoints)
    except ValueError:
        return False  # A name, or the path of a socket.


def outdated(version: tuple[Any, ...]) -> list[checks.CheckMessage]:
    """A warning if that release of Django lacks a fix that concerns caches."""
    patched = PATCHED.get((version[0], version[1]))
    if patched is None or version[:3] >= patched:
        return []
    said = "This release of Django can serve a cached page to visitors for whom it was not made (CVE-2026-113593)."
    hint = f"Upgrade Django to {'.'.join(map(str, patched))}."
    return [checks.Warning(said, hint=hint, id="dcache.W021")]
