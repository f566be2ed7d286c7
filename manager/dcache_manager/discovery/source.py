"""Where the layout comes from, by KIND:REST; the kinds are our own, and those of a site's entry points.

    [project.entry-points."dcache_manager.discovery"]
    consul = "site.cache:ConsulSource"

The entry point is called with what follows `consul:`, and its `read` returns the nodes.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol
from urllib.parse import parse_qsl

from django_dcache.errors import ConfigurationError

from ..spelling import meant
from .answer import Found

GROUP = "dcache_manager.discovery"
KINDS = {
    "file": ("file", "FileSource"),
    "dns": ("dns", "AddressRecords"),
    "srv": ("dns", "ServiceRecords"),
    "elasticache": ("configuration_endpoint", "ConfigurationEndpoint"),
    "memorystore": ("configuration_endpoint", "ConfigurationEndpoint"),
}


class Source(Protocol):
    def read(self) -> Iterable[Found]:
        """All nodes that should be there now. Raises SourceFailed if that can't be told."""


def source(text: str) -> Source:
    """The source that `text` names. Raises ConfigurationError."""
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise ConfigurationError(f"{text!r} is no source; want KIND:WHERE, for instance file:/etc/dcache/nodes.toml")
    return _maker(kind)(rest)


def split_options(text: str, *known: str) -> tuple[str, dict[str, str]]:
    """What comes before `?`, and the options after it. Raises ConfigurationError."""
    where, mark, query = text.partition("?")
    try:
        options = dict(parse_qsl(query, strict_parsing=True)) if mark else {}
    except ValueError as error:
        raise ConfigurationError(f"{text}: want ?OPTION=VALUE&…: {error}") from error
    for option in options.keys() - set(known):
        raise ConfigurationError(f"{text}: there is no option {option!r}; {meant(option, known)}")
    return where, options


def _maker(kind: str) -> Callable[[str], Source]:
    made: Callable[[str], Source]
    if kind in KINDS:
        module, name = KINDS[kind]
        try:
            made = getattr(import_module(f".{module}", __package__), name)
        except ImportError as error:
            raise ConfigurationError(f"source {kind!r}: {error}; pip install 'django-dcache[discovery]'") from error
        return made
    theirs = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind not in theirs:
        known = sorted(KINDS.keys() | theirs.keys())
        raise ConfigurationError(f"there is no source {kind!r}; {meant(kind, known)}")
    try:
        made = theirs[kind].load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"source {kind!r} ({theirs[kind].value}): {error}") from error
    return made
