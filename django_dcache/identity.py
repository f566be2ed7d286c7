"""Which fleet an alias belongs to, and whose it is: worked out from the project's settings.

Aliases on the same nodes share one fleet, however their LOCATION is spelled and in whatever order they stand. A fleet
belongs to a project, known by its SECRET_KEY, and to a site of it, known by its nodes or its database, unless sites
share it by a name (docs/adr/0022).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from .conf import plain_options
from .errors import ConfigurationError, InvalidTopology
from .location import parse_nodes
from .model.owner import OWNER, PLACE, USER, Owner
from .operations import Operations

_seen: tuple[object, dict[str, tuple[str, ...]]] = (None, {})


def fleet_alias(location: Any) -> str:
    """The alias that names the fleet of `location`: of those on the same nodes "default", or the first by alphabet.

    Raises ConfigurationError if aliases contradict each other.
    """
    return next(iter(_aliases(location)), "default")


def owner(location: Any, options: Mapping[str, Any]) -> Owner:
    """By what this project is known on `location`; by nothing if the fleet has a name of its own, or no SECRET_KEY."""
    if options.get("fleet"):
        return Owner()
    try:
        secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    except ImproperlyConfigured:
        return Owner()
    aliases = _aliases(location)
    names = tuple(alias for alias in aliases[1:] if not _option(settings.CACHES[alias], "fleet"))
    place = ",".join(sorted(_addresses(location)))
    user = _user([settings.CACHES[alias] for alias in aliases])
    users = _marks(USER, user, secrets) if user else ()
    return Owner(_marks(OWNER, "", secrets), _marks(PLACE, place, secrets), users, names)


def site_marks() -> tuple[str, ...]:
    """What tells this site from others on the same machine, made with each secret of the project, the present one
    first; none without a SECRET_KEY."""
    try:
        secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    except ImproperlyConfigured:
        return ()
    return _marks("", _user(settings.CACHES.values()), secrets)


def _marks(kind: str, text: str, secrets: Iterable[str]) -> tuple[str, ...]:
    """What stands for `text` in the state, and tells a reader of it nothing else."""
    return tuple(kind + salted_hmac("django_dcache.owner", text, secret=key).hexdigest()[:16] for key in secrets)


def _user(entries: Iterable[Mapping[str, Any]]) -> str:
    """What tells this site from another one that has the same SECRET_KEY: its database; key prefixes if it has none."""
    database = settings.DATABASES.get("default") or {}
    if (name := str(database.get("NAME") or "")) and ":memory:" not in name:
        return f"{database.get('HOST', '')}:{database.get('PORT', '')}/{name}"
    return ",".join(sorted({entry.get("KEY_PREFIX", "") for entry in entries} - {""}))


def _aliases(location: Any) -> tuple[str, ...]:
    """The aliases on these nodes, the one that names their fleet first. Raises ConfigurationError."""

    global _seen
    if _seen[0] is not settings.CACHES:
        _seen = settings.CACHES, {}
    known, spelled = _seen[1], repr(location)
    if spelled not in known:
        known[spelled] = find(settings.CACHES, location)
    return known[spelled]


def find(caches: Mapping[str, Any], location: Any) -> tuple[str, ...]:
    """The aliases among these that are on the nodes of `location`, the one that names their fleet first."""
    addresses = _addresses(location)
    shared: dict[str, Any] = {}
    for alias, entry in sorted(caches.items(), key=lambda item: (item[0] != "default", item[0])):
        theirs = _addresses(entry.get("LOCATION")) if is_ours(entry) else frozenset()
        both = addresses & theirs
        if both and theirs == addresses:
            shared[alias] = entry
        elif both and not _option(entry, "fleet"):
            raise ConfigurationError(
                f"alias {alias!r} has {', '.join(sorted(both))} in common with another one, but not all: "
                "a resize of one fleet would lose keys of the other. Give both the same LOCATION, or each a name as "
                'OPTIONS["fleet"]'
            )
    for name in {str(_option(entry, "fleet") or "") for entry in shared.values()}:
        _compare({alias: entry for alias, entry in shared.items() if (_option(entry, "fleet") or "") == name})
    return tuple(shared)


def _compare(entries: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless they say the same of the fleet they share."""
    for option, default in (("replicas", 1), ("ring", "ketama"), ("hash_tags", False)):
        said = {alias: _option(entry, option, default) for alias, entry in entries.items()}
        if len(set(map(repr, said.values()))) > 1:
            listed = ", ".join(f"{alias!r} {value!r}" for alias, value in said.items())
            raise ConfigurationError(
                f"aliases on the same nodes are one fleet, but differ in {option}: {listed}. "
                'Say the same in each, or give one nodes of its own and a name as OPTIONS["fleet"]'
            )


def _option(entry: Mapping[str, Any], name: str, default: Any = None) -> Any:
    try:
        return plain_options(entry.get("OPTIONS")).get(name, default)
    except ConfigurationError:
        return default  # Said when that alias is used.


def _addresses(location: Any) -> frozenset[str]:
    try:
        return frozenset(node.address for node in parse_nodes(location))
    except (ConfigurationError, InvalidTopology):
        return frozenset()  # Said when that alias is used.


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether an alias is of this backend."""
    try:
        backend = import_string(entry.get("BACKEND", ""))
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, Operations)
