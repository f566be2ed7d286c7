"""Django's `cache` sessions, for a cache that may be away: SESSION_ENGINE = "django_dcache.sessions".

Django's own engine can't tell a session key that is taken from a cache that takes nothing, and tries ten thousand keys
before it gives up: seconds of work for each visitor, while the nodes are away. A key has 160 bits of chance. One that
can't be stored was not taken, so this engine tries others, which are on other nodes, for no longer than a second.
"""

import asyncio
import time
from collections.abc import Iterator

from django.contrib.sessions.backends import cache
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, CreateError
from django.utils.crypto import get_random_string

SECONDS = 1.0
PAUSE_SECONDS = 0.01


class SessionNotStored(RuntimeError):
    """The cache took no session for a second: its nodes are away. With the engine cached_db the database has it."""


class SessionStore(cache.SessionStore):
    """Sessions in the alias SESSION_CACHE_ALIAS, with Django's own keys: either engine reads what the other stored."""

    def create(self) -> None:
        """Store the session under a new key. Raises SessionNotStored."""
        for self._session_key in _new_keys():
            try:
                self.save(must_create=True)
            except CreateError:
                time.sleep(PAUSE_SECONDS)
            else:
                self.modified = True
                return
        raise SessionNotStored(SessionNotStored.__doc__)

    async def acreate(self) -> None:
        """Store the session under a new key. Raises SessionNotStored."""
        for self._session_key in _new_keys():
            try:
                await self.asave(must_create=True)
            except CreateError:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self.modified = True
                return
        raise SessionNotStored(SessionNotStored.__doc__)


def _new_keys() -> Iterator[str]:
    until = time.monotonic() + SECONDS
    yield get_random_string(32, VALID_KEY_CHARS)
    while time.monotonic() < until:
        yield get_random_string(32, VALID_KEY_CHARS)
