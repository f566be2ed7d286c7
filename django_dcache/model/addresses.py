"""Addresses of nodes as users write them, and as the fleet spells them. The scheme names the engine.

    host:port, unix:/path                                   memcached
    redis://host:port/database, rediss:// (TLS)             Redis; valkey:// and valkeys:// are the same
    redis+unix:///path?db=database, valkey+unix:// …        Redis on a Unix socket
    memory://name                                           a dict in this process

A login in an address (redis://user:password@host) is no part of the fleet's spelling: the map of a fleet lies on its
nodes for every client to read.
"""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ..errors import InvalidTopology

MEMCACHED_PORT, REDIS_PORT = 11211, 6379
MAX_DATABASE = 2**16

_host_and_port = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@]+):(?P<port>\d{1,5})").fullmatch
_memory_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}").fullmatch
_ENGINES = {
    "": "memcached",
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix"), "redis"),
    "memory": "memory",
}
_FORMS = "host:port, unix:/path, redis://host:port/database or memory://name"


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

    @property
    def engine(self) -> str:
        return _ENGINES[self.scheme]

    @property
    def secure(self) -> bool:
        """Whether the scheme asks for TLS."""
        return self.scheme in ("rediss", "valkeys")

    @property
    def endpoint(self) -> str | tuple[str, int]:
        """What a socket connects to: a path, or (host, port)."""
        return self.path or (self.host.strip("[]"), self.port)

    def __str__(self) -> str:
        """As the fleet spells it."""
        if not self.scheme:
            return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"
        if self.engine == "memory":
            return f"{self.scheme}://{self.host}"
        if self.path:
            return f"{self.scheme}://{self.path}?db={self.database}"
        return f"{self.scheme}://{self.host}:{self.port}/{self.database}"

    @property
    def short(self) -> str:
        """The name of a node that has no other: without what is as usual."""
        if self.engine == "memcached":
            return self.path or f"{self.host}:{self.port}".removesuffix(f":{MEMCACHED_PORT}")
        where = self.path or f"{self.host}:{self.port}".removesuffix(f":{REDIS_PORT}")
        return self.host if self.engine == "memory" else f"{where}/{self.database}" if self.database else where


def engine_name(address: str) -> str:
    """The engine of an address that the fleet spells so."""
    scheme, found, _ = address.partition("://")
    return _ENGINES.get(scheme if found else "", "")


def parse(text: str) -> Address:
    """An address as the fleet spells it, or as a user writes it. Raises InvalidTopology."""
    if not isinstance(text, str):
        raise InvalidTopology(f"address is {text!r}, want a string")
    scheme, found, _ = text.partition("://")
    if not found or scheme == "unix":
        return _memcached(text)
    split = urlsplit(text)
    if split.scheme not in _ENGINES:
        raise InvalidTopology(f"{_shown(split)} is no address: want {_FORMS}")
    try:
        return _memory(split) if split.scheme == "memory" else _redis(split)
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
        raise InvalidTopology(f"{text!r} is no address: want {_FORMS}")
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
    host = split.netloc.rpartition("@")[2]  # As it was written: `hostname` is lower case, and without its brackets.
    match = _host_and_port(host if _host_and_port(host) else f"{host}:{REDIS_PORT}")
    if not match or not 0 < int(match["port"]) < 65536:
        raise ValueError("want host:port")
    return Address(split.scheme, match["host"], int(match["port"]), database=int(number))


def _memory(split: SplitResult) -> Address:
    if not _memory_name(split.netloc) or split.path.strip("/") or split.query:
        raise ValueError("want memory://name, with letters, digits and ._- only")
    return Address("memory", split.netloc)


def _shown(split: SplitResult) -> str:
    """An address without what is secret in it."""
    host = split.netloc.rpartition("@")[2]
    return repr(split._replace(netloc=f"…@{host}" if "@" in split.netloc else host).geturl())
