"""A CACHES entry, parsed once into a frozen object. Unknown or unusable options are errors with a hint."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pickle import HIGHEST_PROTOCOL
from types import NoneType
from typing import Any

from . import coexistence, credentials
from .errors import ConfigurationError, InvalidKey, InvalidTopology
from .foreign_options import advice
from .location import logins, parse_nodes
from .model import keys
from .model.addresses import Login
from .model.documents import MODES, Documents
from .model.owner import Owner
from .model.state import MAX_PREFIXES
from .model.topology import RING_MODES, Layout
from .values import classic
from .values.chunks import LEAST_BYTES


@dataclass(frozen=True, slots=True)
class Options:
    """OPTIONS of a cache alias. Times are in seconds."""

    replicas: int = 1
    """How many nodes hold each key."""
    zone: str = ""
    """The zone this process runs in: its nodes are read first."""
    freshness: float = 1.0
    """How far a read may lag an acknowledged write while nodes fail or keys move."""
    timeout: float = 0.25
    """The total deadline of one operation."""
    connect_timeout: float = 0.25
    """The most that making a connection may take."""
    request_budget: float = 1.0
    """How long one web request may wait for nodes in all; then each call gets a twentieth of `timeout`."""
    load_wait: float = 5.0
    """How long `get_or_set` waits while another caller loads the same key, before it loads too; 0: it never waits."""
    ring: str = "ketama"
    """How keys are placed: "ketama"; or as other clients of the nodes do: "libmemcached" (pylibmc's `ketama_weighted`),
    "ketama-unweighted" (its `ketama`), "modula" (pylibmc without either), "rendezvous" (pymemcache)."""
    coexist: str = ""
    """The backend that a site comes from, whose processes share the nodes until `dcache-admin adopt finish`:
    "pymemcache", "pylibmc", "django-redis" or "redis". Its values are read as long as this is set."""
    hash_tags: bool = False
    """Hash only the part of a key between { and }, so that related keys share a node."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of keys, such as "book:", that `invalidate(prefix=…)` makes unreadable at once, with no sweep."""
    on_error: str = "miss"
    """What a failure becomes: "miss" (and False for writes), or "raise"."""
    on_unproven: str = "miss"
    """Without a majority of keepers reads are a "miss" and writes fail; or "serve": go on by the last known state."""
    eject_after: float = 2.0
    """A node that answers no process for so long is taken out, and taken back when it answers again; 0: never."""
    max_ejected: float = 0.5
    """The part of the nodes that may be out of service because of that at the same time, from 0 to 1."""
    clear_nodes: bool = False
    """`clear()` removes also what others keep on the nodes, as Django's own backend for memcached does."""
    fleet: str = ""
    """The name under which the nodes keep the fleet's state; default: the alias. Aliases may share a fleet."""
    idle_connections: int = 64
    """How many connections a process keeps open to a node while it does not use them."""
    max_connections: int = 256
    """How many connections a process has to a node at most: callers wait for one that comes back, within `timeout`."""
    async_connections: int = 4
    """How many connections an event loop opens to a node at most. Its tasks share one as long as the node keeps up."""
    pickle_protocol: int = 5
    """The protocol of values that are pickled."""
    serializer: str = "pickle"
    """What makes bytes of objects: "pickle", "json", "msgpack", "msgspec", or a dotted path to `dumps` and `loads`."""
    read_serializers: tuple[str, ...] = ()
    """Serializers whose values are read as well, while a site moves from one to another."""
    compress: str = ""
    """What makes values smaller where it pays: "zlib", "zstd" or "lz4"."""
    compress_min_bytes: int = 1024
    """The size from which values are compressed."""
    sign_values: bool = False
    """Sign each value, and read none without our signature. Whole numbers are not signed: nodes count with them."""
    read_unsigned: bool = False
    """With `sign_values`: read values that are not signed as well, while a site moves to signed ones."""
    secret: Any = field(default=None, repr=False)
    """What signatures are made with; of several the first signs. Default: SECRET_KEY, then SECRET_KEY_FALLBACKS."""
    sign_state: str = "required"
    """Whether the state that nodes keep is signed: "required": no other is believed; "on" and "off", on the way there
    and back: both are read, and signed or unsigned ones are written."""
    chunk_bytes: int = 1_000_000
    """A larger value lies in chunks of this many bytes, which nodes must take (`memcached -I`). 0: none does."""
    max_value: int = 64 * 2**20
    """The most bytes of a value: a larger one is not stored, and what was there is removed; nor is one read."""
    count_deletes: bool = False
    """`delete_many` says how many of the keys there were, as django-redis does; it takes more time then."""
    near: Any = None
    """{"bytes": N}: keep what is read again and again in this process, for `freshness` at most. None: always ask."""
    redact_keys: bool = False
    """Keys may say who did what: in logs, in the admin and in lists of commands a mark stands in for each."""
    tls: Any = None
    """An ssl.SSLContext for every connection; None: plain."""
    username: Any = field(default=None, repr=False)
    """Who logs in at the nodes (`memcached -Y`, a Redis user): text, a function, or {"env": "VARIABLE"}."""
    password: Any = field(default=None, repr=False)
    """By what, given in the same ways. Both are asked for whenever a connection is made, so they may change."""
    address_remap: Any = None
    """A function from a node's address to where this process reaches it: port forwarding, tunnels, fault proxies."""

    def __post_init__(self) -> None:
        for name, allowed in _choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}, want one of {', '.join(allowed)}")
        for name in ("freshness", "timeout", "connect_timeout", "request_budget"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0.001 <= value <= 3600:
                raise ConfigurationError(f"{name} is {value!r}, want seconds from 0.001 to 3600")
        for name, most in (("eject_after", 3600), ("max_ejected", 1)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= most:
                raise ConfigurationError(f"{name} is {value!r}, want a number from 0 to {most}")
        if type(self.load_wait) not in (int, float) or not 0 <= self.load_wait <= 3600:
            raise ConfigurationError(f"load_wait is {self.load_wait!r}, want seconds from 0 to 3600")
        for name in ("idle_connections", "max_connections", "async_connections", "compress_min_bytes", "max_value"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"{name} is {value!r}, want a whole number above 0")
        kinds = dict.fromkeys(
            ("hash_tags", "clear_nodes", "sign_values", "read_unsigned", "redact_keys", "count_deletes"), bool
        )
        for name, kind in {"zone": str, "fleet": str, "serializer": str, **kinds}.items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}, want {kind.__name__}")
        object.__setattr__(self, "ring", coexistence.ring(self) if self.coexist else self.ring)
        if type(self.chunk_bytes) is not int or 0 != self.chunk_bytes < LEAST_BYTES:
            raise ConfigurationError(f"chunk_bytes is {self.chunk_bytes!r}, want 0, or {LEAST_BYTES} or more")
        object.__setattr__(self, "prefixes", _prefixes(self.prefixes))
        if type(self.pickle_protocol) is not int or not 0 <= self.pickle_protocol <= HIGHEST_PROTOCOL:
            raise ConfigurationError(f"pickle_protocol is {self.pickle_protocol!r}, want 0 to {HIGHEST_PROTOCOL}")
        if self.read_unsigned and not self.sign_values:
            raise ConfigurationError("read_unsigned means nothing without sign_values, which is False")
        object.__setattr__(self, "read_serializers", _serializers(self.read_serializers))
        object.__setattr__(self, "secret", credentials.secret(self.secret))
        object.__setattr__(self, "near", _near_bytes(self.near))
        for name in ("username", "password"):
            object.__setattr__(self, name, credentials.source(name, getattr(self, name)))
        if self.username is not None and self.password is None:
            raise ConfigurationError("username means nothing without password")
        if self.tls is not None and not hasattr(self.tls, "wrap_socket"):
            raise ConfigurationError(f"tls is {self.tls!r}, want an ssl.SSLContext")
        if self.address_remap is not None and not callable(self.address_remap):
            raise ConfigurationError(f"address_remap is {self.address_remap!r}, want a function")

    @property
    def operation(self) -> float:
        """The longest an operation may last: its own deadline, and as much again for the bump of a lost write."""
        return 2 * self.timeout

    def login(self) -> Login | None:
        """What the nodes are told before anything else. Raises ConfigurationError."""
        if self.password is None:
            return None
        user = credentials.text("username", self.username) if self.username is not None else ""
        return Login(user, credentials.text("password", self.password))

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What signatures are made with (the first) and accepted of. Empty without a project. Raises
        ConfigurationError."""
        return credentials.secrets(self.secret)


def _near_bytes(given: Any) -> int:
    if given is None or type(given) is int:  # Options may be made of options.
        return given or 0
    most = given["bytes"] if isinstance(given, Mapping) and [*given] == ["bytes"] else None
    if type(most) is not int or most < NEAR_BYTES:
        raise ConfigurationError(f"near is {given!r}, want {{'bytes': N}}, N a whole number from {NEAR_BYTES} on")
    return most


def _prefixes(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        raise ConfigurationError(f"prefixes is {given!r}, want a list of the beginnings of keys")
    for prefix in given:
        if not isinstance(prefix, str) or not prefix:
            raise ConfigurationError(f"prefixes has {prefix!r}, want the beginning of a key, such as 'book:'")
        try:
            keys.name(prefix)
        except InvalidKey as error:
            raise ConfigurationError(f"prefixes: {error}") from None
    if len(given) > MAX_PREFIXES:
        raise ConfigurationError(f"prefixes has {len(given)} entries, the limit is {MAX_PREFIXES}")
    return tuple(given)


def _serializers(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(name, str) for name in given):
        raise ConfigurationError(f"read_serializers is {given!r}, want a list of names, such as 'pickle'")
    return tuple(given)


NEAR_BYTES = 1_000_000
"""The least that a near cache is good for."""
KNOWN = tuple(item.name for item in fields(Options))
DJANGO_OPTIONS = ("MAX_ENTRIES", "CULL_FREQUENCY")
"""Known to every Django backend, and without meaning for one that evicts by memory."""
_choices = {
    "sign_state": MODES,
    "coexist": ("", *classic.BACKENDS),
    "compress": ("", "zlib", "zstd", "lz4"),
    "ring": RING_MODES,
    "on_error": ("miss", "raise"),
    "on_unproven": ("serve", "miss"),
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """One cache alias: the desired layout of its fleet, and how to use it."""

    alias: str
    layout: Layout
    options: Options = field(default_factory=Options)
    owner: Owner = Owner()
    """By what the project is known that the fleet belongs to."""
    logins: tuple[tuple[str, Login], ...] = field(default=(), repr=False)
    """What nodes are told before anything else, by address, as far as LOCATION says so."""

    @property
    def fleet(self) -> str:
        return self.options.fleet or self.alias

    def shown(self, key: str) -> str:
        """A made key or prefix as it may be logged: itself, or a mark that stands in for it."""
        return credentials.mark(key, self.options.secrets) if self.options.redact_keys else key

    def documents(self) -> Documents:
        """How what the nodes keep of the fleet is written, and what of it is believed."""
        return Documents(self.fleet, lambda: self.options.secrets, self.options.sign_state)


def parse(alias: str, location: Any, options: Mapping[str, Any] | None = None, owner: Owner = Owner()) -> Configuration:
    """The configuration in a CACHES entry. Raises ConfigurationError, whose text says what to write instead."""
    options = plain_options(options)
    for name in options:
        if hint := unknown(name):
            raise ConfigurationError(f"OPTIONS has no {name!r}; {hint}")
    parsed = Options(**options)
    try:
        layout = Layout(tuple(parse_nodes(location)), parsed.replicas, parsed.ring)
    except InvalidTopology as error:
        node = f" (node {error.node})" if error.node else ""
        raise ConfigurationError(f"alias {alias!r}: {error.detail}{node}") from None
    coexistence.check(alias, layout, parsed.coexist)
    if not (parsed.fleet or alias).replace("-", "").replace("_", "").isalnum() or len(parsed.fleet or alias) > 50:
        raise ConfigurationError(f"fleet name {parsed.fleet or alias!r}: letters, digits, - and _ only, at most 50")
    return Configuration(alias, layout, parsed, owner, tuple(logins(location)))


def plain_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """OPTIONS by the names that `Options` has: django-environ makes them upper case. Django's own have no meaning.

    Raises ConfigurationError.
    """
    if not isinstance(given, (Mapping, NoneType)):
        raise ConfigurationError(f"OPTIONS is {type(given).__name__}, want a dictionary")
    options: dict[str, Any] = {}
    for name, value in (given or {}).items():
        known = str(name).lower()
        if known in KNOWN and not (known != name and advice(str(name))):
            if known in options:
                raise ConfigurationError(f"OPTIONS has {known!r} twice: in upper and in lower case")
            name = known
        if name not in DJANGO_OPTIONS:
            options[name] = value
    return options


def unknown(name: Any) -> str | None:
    """What to do instead, if there is no option of this name."""
    if name in KNOWN:
        return None
    close = difflib.get_close_matches(str(name).lower(), KNOWN, 1)
    return advice(str(name)) or (f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KNOWN)}")
