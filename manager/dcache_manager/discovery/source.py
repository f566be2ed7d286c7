"""Where the layout comes from, by KIND:REST; the kinds are our own, and those of a site's entry points.

    [project.entry-points."dcache_manager.discovery"]
    consul = "site.cache:ConsulSource"

The entry point is called with what follows `consul:`, and its `read` returns the nodes.
"""

from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import entry_points
from typing import Protocol

from django_dcache.errors import ConfigurationError

from ..spelling import meant
from .answer import Found
from .configuration_endpoint import ConfigurationEndpoint
from .file import FileSource

GROUP = "dcache_manager.discovery"


class Source(Protocol):
    def read(self) -> Iterable[Found]:
        """All nodes that should be there now. Raises SourceFailed if that can't be told."""


def source(text: str) -> Source:
    """The source that `text` names. Raises ConfigurationError."""
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise ConfigurationError(f"{text!r} is no source; want KIND:WHERE, for instance file:/etc/dcache/nodes.toml")
    return KINDS[kind](rest) if kind in KINDS else _of_the_site(kind)(rest)


def _by_name_server(kind: str, text: str) -> Source:
    try:
        from .dns import RECORDS  # Late: dnspython comes with an extra.
    except ImportError as error:
        raise ConfigurationError(f"source {kind!r}: {error}; pip install 'django-dcache[discovery]'") from error
    return RECORDS[kind](text)


KINDS: dict[str, Callable[[str], Source]] = {
    "file": FileSource,
    "dns": partial(_by_name_server, "dns"),
    "srv": partial(_by_name_server, "srv"),
    "elasticache": ConfigurationEndpoint,
    "memorystore": ConfigurationEndpoint,
}
"""Our own."""


def _of_the_site(kind: str) -> Callable[[str], Source]:
    theirs = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind not in theirs:
        raise ConfigurationError(f"there is no source {kind!r}; {meant(kind, sorted(KINDS.keys() | theirs.keys()))}")
    try:
        made: Callable[[str], Source] = theirs[kind].load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"source {kind!r} ({theirs[kind].value}): {error}") from error
    return made
