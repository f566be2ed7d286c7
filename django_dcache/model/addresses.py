"""Addresses of nodes as users write them, and as the fleet spells them. The scheme names the engine.

    host:port, unix:/path                                   memcached
    redis://host:port/database, rediss:// (TLS)             Redis; valkey:// and valkeys:// are the same
    redis+unix:///path?db=database, valkey+unix:// …        Redis on a Unix socket
    ignite://host:port,host2:port/cache, ignites:// (TLS)   Apache Ignite: any of the servers of one cluster
    memory://name                                           a dict in this process

A login in an address (redis://user:password@host) is no part of the fleet's spelling: the map of a fleet lies on its
nodes for every client to read.
"""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ..errors import InvalidTopology

MEMCACHED_PORT, REDIS_PORT, IGNITE_PORT = 11211, 6379, 10800
CACHE = "dcache"
"""The cache on Ignite of an address that names none."""
MAX_DATABASE = 2**16
MAX_SERVERS = 16
"""Of one node."""

_host_and_port = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@]+):(?P<port>\d{1,5})").fullmatch
_cache_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,60}").fullmatch
_memory_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}").fullmatch
_ENGINES = {
    "": "memcached",
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix"), "redis"),
    **dict.fromkeys(("ignite", "ignites"), "ignite"),
    "memory": "memory",
}
FORMS = "host:port, unix:/path, redis://host:port/database, ignite://host:port/cache or memory://name"


Endpoint = str | tuple[str, int]
"""The path of a socket, or (host, port)."""


class Login(NamedTuple):
    """What a node is told before anything else. Never shown."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"


class Address(NamedTuple):
    """A parsed address."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    """Of a Unix socket."""
    database: int = 0
    cache: str = ""
    """Of Ignite."""
    others: tuple[tuple[str, int], ...] = ()
    """Hosts and ports of further servers that lead to the same cache."""

    @property
    def engine(self) -> str:
        return _ENGINES[self.scheme]

    @property
    def secure(self) -> bool:
        """Whether the scheme asks for TLS."""
        return self.scheme in ("rediss", "valkeys", "ignites")

    @property
    def endpoints(self) -> list[Endpoint]:
        """What a socket connects to, and what to instead where that fails."""
        servers = [(host.strip("[]"), port) for host, port in ((self.host, self.port), *self.others)]
        return [self.path] if self.path else [*servers]

    def __str__(self) -> str:
        """As the fleet spells it."""
        if not self.scheme:
            return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"
        if self.engine == "memory":
            return f"{self.scheme}://{self.host}"
        if self.engine == "ignite":
            servers = ",".join(f"{host}:{port}" for host, port in ((self.host, self.port), *self.others))
            return f"{self.scheme}://{servers}/{self.cache}"
        if self.path:
            return f"{self.scheme}://{self.path}?db={self.database}"
        return f"{self.scheme}://{self.host}:{self.port}/{self.database}"

    @property
    def short(self) -> str:
        """The name of a node that has no other: without what is as usual."""
        if self.engine == "memcached":
            return self.path or f"{self.host}:{self.port}".removesuffix(f":{MEMCACHED_PORT}")
        if self.engine == "ignite":
            return f"{self.host}:{self.port}".removesuffix(f":{IGNITE_PORT}")
        where = self.path or f"{self.host}:{self.port}".removesuffix(f":{REDIS_PORT}")
        return self.host if self.engine == "memory" else f"{where}/{self.database}" if self.database else where


def engine_name(address: str) -> str:
    """The engine of an address that the fleet spells so."""
    scheme, found, _ = address.partition("://")
    return _ENGINES.get(scheme if found else "", "")


def runs_on(address: str) -> str:
    """The same, with the name of the cache if there is one: what all nodes of a fleet have in common."""
    engine = engine_name(address)
    return f"ignite with the cache {address.rpartition('/')[2]}" if engine == "ignite" else engine


def parse(text: str) -> Address:
    """An address as the fleet spells it, or as a user writes it. Raises InvalidTopology."""
    if not isinstance(text, str):
        raise InvalidTopology(f"address is {text!r}, want a string")
    scheme, found, _ = text.partition("://")
    if not found or scheme == "unix":
        return _memcached(text)
    split = urlsplit(text)
    if split.scheme not in _ENGINES:
        raise InvalidTopology(f"{_shown(split)} is no address: want {FORMS}")
    try:
        return {"memory": _memory, "ignite": _ignite}.get(_ENGINES[split.scheme], _redis)(split)
    except ValueError as error:
        raise InvalidTopology(f"{_shown(split)} is no address: {error}") from None


def login(text: str) -> Login | None:
    """The login in an address as a user writes it."""
    split = urlsplit(text) if isinstance(text, str) and "://" in text else None
    if split is None or split.password is None:
        return None
    return Login(unquote(split.username or ""), unquote(split.password))


def _memcached(text: str) -> Address:
    if text.startswith(("unix:/", "/")):
        return Address("", path=text.removeprefix("unix:"))
    match = _host_and_port(text if _host_and_port(text) else f"{text}:{MEMCACHED_PORT}")
    if not match or not 0 < int(match["port"]) < 65536:
        raise InvalidTopology(f"{text!r} is no address: want {FORMS}")
    return Address("", match["host"], int(match["port"]))


def _redis(split: SplitResult) -> Address:
    query = parse_qs(split.query, strict_parsing=True) if split.query else {}
    if unknown := query.keys() - {"db"}:
        raise ValueError(f"nothing is known of {', '.join(sorted(unknown))}")
    path = ""
    if split.scheme.endswith("+unix"):
        path = split.path
        if not path or split.hostname:
            raise ValueError("the path of a socket begins with a slash: three of them")
        number = query.get("db", ["0"])[0]
    else:
        number = query.get("db", [split.path.strip("/") or "0"])[0]
        if not split.hostname:
            raise ValueError("there is no host")
    if not number.isdecimal() or int(number) > MAX_DATABASE:
        raise ValueError(f"database {number!r} is no whole number")
    if path:
        return Address(split.scheme, path=path, database=int(number))
    return Address(split.scheme, *_place(split.netloc.rpartition("@")[2], REDIS_PORT), database=int(number))


def _ignite(split: SplitResult) -> Address:
    cache = split.path.strip("/") or CACHE
    if split.query or not _cache_name(cache):
        raise ValueError("want ignite://host:port/cache, and in a cache's name letters, digits and ._- only")
    servers = [_place(server, IGNITE_PORT) for server in split.netloc.rpartition("@")[2].split(",")]
    if len(set(servers)) < len(servers) or len(servers) > MAX_SERVERS:
        raise ValueError(f"want up to {MAX_SERVERS} servers, each of them once")
    return Address(split.scheme, *servers[0], cache=cache, others=tuple(servers[1:]))


def _place(host: str, port: int) -> tuple[str, int]:
    """The host and the port, as they were written: `hostname` is lower case, and without its brackets."""
    match = _host_and_port(host if _host_and_port(host) else f"{host}:{port}")
    if not match or not 0 < int(match["port"]) < 65536:
        raise ValueError("want host:port")
    return match["host"], int(match["port"])


def _memory(split: SplitResult) -> Address:
    if not _memory_name(split.netloc) or split.path.strip("/") or split.query:
        raise ValueError("want memory://name, with letters, digits and ._- only")
    return Address("memory", split.netloc)


def _shown(split: SplitResult) -> str:
    """An address without what is secret in it."""
    host = split.netloc.rpartition("@")[2]
    return repr(split._replace(netloc=f"…@{host}" if "@" in split.netloc else host).geturl())
