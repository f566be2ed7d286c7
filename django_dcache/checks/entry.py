"""An alias as it stands in CACHES, and as far as it can be understood."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from django.core import checks
from django.core.cache.backends.base import get_key_func

from ..conf import Configuration, parse, plain_options
from ..errors import ConfigurationError
from ..identity import is_ours

Messages = Iterator[checks.CheckMessage]
KEY = "key"
"""Any key that a site may use."""


class Entry(NamedTuple):
    """An alias of this backend."""

    alias: str
    given: Mapping[str, Any]
    """As it stands in CACHES."""
    options: dict[str, Any]
    """OPTIONS as far as they are a dictionary, by the names that `Options` has."""
    configuration: Configuration | None
    """None if it can't be used."""

    @property
    def addresses(self) -> frozenset[str]:
        nodes = self.configuration.layout.nodes if self.configuration else ()
        return frozenset(node.address for node in nodes)

    def key(self) -> str:
        """A key as nodes see it. Raises what the site's KEY_FUNCTION raises."""
        make = get_key_func(self.given.get("KEY_FUNCTION"))
        return str(make(KEY, self.given.get("KEY_PREFIX", ""), self.given.get("VERSION", 1)))

    def head(self) -> str:
        """What the keys of this alias begin with, as nodes see them: all of a key, if KEY_FUNCTION does not end it in
        what it is given. Raises what the site's KEY_FUNCTION raises."""
        return self.key().removesuffix(KEY)

    def error(self, identity: str, said: str, hint: str) -> checks.CheckMessage:
        return self._message(checks.Error, identity, said, hint)

    def warning(self, identity: str, said: str, hint: str) -> checks.CheckMessage:
        return self._message(checks.Warning, identity, said, hint)

    def _message(self, kind: Callable[..., checks.CheckMessage], identity: str, said: str, hint: str) -> Any:
        said = said.rstrip(".")
        return kind(f"Cache {self.alias!r}: {said}.", hint=hint, id=f"dcache.{identity}")


def entries_of(caches: Mapping[str, Any]) -> list[Entry]:
    """The aliases of this backend."""
    return [_entry(alias, given) for alias, given in caches.items() if is_ours(given)]


def _entry(alias: str, given: Mapping[str, Any]) -> Entry:
    options: dict[str, Any] = {}
    try:
        options = plain_options(given.get("OPTIONS"))
        return Entry(alias, given, options, parse(alias, given.get("LOCATION"), options))
    except ConfigurationError:
        return Entry(alias, given, options, None)
