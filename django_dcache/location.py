"""The LOCATION of an alias: the nodes it names, and what each of them wants to be told first."""

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import ConfigurationError
from .model.addresses import Login, login
from .model.topology import Node


def logins(location: Any) -> Iterable[tuple[str, Login]]:
    """Those in the addresses of a LOCATION; they are no part of its nodes, which each client of the fleet can read."""
    for entry in _entries(location):
        address = entry["address"] if isinstance(entry, Mapping) else entry.strip()
        if found := login(address):
            yield Node.at(address).address, found


def _entries(location: Any) -> list[Any] | tuple[Any, ...]:
    entries = location.replace(";", ",").split(",") if isinstance(location, str) else location
    if not isinstance(entries, (list, tuple)):
        raise ConfigurationError(f"LOCATION is {type(location).__name__}, want a string or a list")
    return entries


def parse_nodes(location: Any) -> Iterable[Node]:
    """The nodes of a LOCATION: one string (`;` or `,` separate), or a list of strings and objects."""
    for entry in _entries(location):
        if isinstance(entry, str):
            if entry.strip():
                yield Node.at(entry.strip())
        elif isinstance(entry, Mapping):
            if unknown := entry.keys() - {"name", "address", "weight", "zone"}:
                raise ConfigurationError(f"LOCATION entry has unknown {', '.join(sorted(map(str, unknown)))}")
            if "address" not in entry:
                raise ConfigurationError(f"LOCATION entry {dict(entry)} has no address")
            yield Node.at(**entry)
        else:
            raise ConfigurationError(f"LOCATION entry {entry!r} is neither a string nor an object")
