"""LOCATIONs as other backends write them."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

_weighed = re.compile(r"(.+:\d+):(\d+)").fullmatch


def memcached_location(location: Any, weights: bool = False) -> list[Any]:
    """The nodes in the same order, on which other clients' rings depend."""
    return [_node(entry, weights) for entry in _entries(location)]


class RedisLocation(NamedTuple):
    address: str
    """Of the first server, which takes the writes, without its login."""
    others: int
    """How many replicas there are."""
    login: bool


def redis_location(location: Any) -> RedisLocation:
    first, *others = _entries(location)
    split = urlsplit(first)
    host = split.netloc.rpartition("@")[2]
    if split.scheme == "unix":
        database = parse_qs(split.query).get("db", ["0"])[0]
        address = f"redis+unix://{split.path}?db={database}"
    else:
        address = split._replace(netloc=host).geturl()
    return RedisLocation(address, len(others), "@" in split.netloc)


def _entries(location: Any) -> list[str]:
    entries: Iterable[Any] = re.split("[;,]", location) if isinstance(location, str) else location
    return [str(entry).strip() for entry in entries if str(entry).strip()]


def _node(entry: str, weights: bool) -> Any:
    match = _weighed(entry)
    if not match or entry.count(":") > 2:
        return entry
    address, weight = match.groups()
    return {"address": address, "weight": int(weight)} if weights and weight != "1" else address
