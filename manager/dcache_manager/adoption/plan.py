"""From the CACHES entry of another backend to the one that shares its nodes. Pure: nothing is asked or changed."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django_dcache.conf import DJANGO_OPTIONS, parse
from django_dcache.errors import ConfigurationError
from django_dcache.foreign_options import advice

from ..errors import NotPossible
from .locations import memcached_location, redis_location

BACKEND = "django_dcache.backend.DistributedCache"
_MEMCACHED = "django.core.cache.backends.memcached."
_UNKNOWN = "nothing here corresponds to it"
_ELSEWHERE = "keys or values are where no other client finds them; give the new entry a KEY_PREFIX of its own instead"


@dataclass(slots=True)
class Adoption:
    """What to write in place of an old entry."""

    alias: str
    entry: dict[str, Any]
    """The new one, without secrets."""
    remarks: list[dict[str, str]] = field(default_factory=list)
    """By old option: `option`, and `now`, what becomes of it."""
    obstacles: list[str] = field(default_factory=list)
    """Why old and new processes would not share everything. Empty: they do."""

    @property
    def code(self) -> str:
        """The new entry as it is written into the settings."""
        return f"CACHES = {_written({self.alias: self.entry})}"

    def remark(self, option: str, now: str) -> None:
        self.remarks.append({"option": option, "now": now})

    def obstacle(self, option: str, why: str) -> None:
        self.remark(option, f"not possible: {why}")
        self.obstacles.append(f"{option}: {why}")


def plan(alias: str, old: Mapping[str, Any]) -> Adoption:
    """What to write in place of `old`. Raises NotPossible for a backend that can't be adopted."""
    backend = str(old.get("BACKEND", ""))
    if backend == BACKEND:
        raise NotPossible(f"alias {alias!r} has the backend already; see `adopt status`")
    if backend not in _BACKENDS:
        known = ", ".join(_BACKENDS)
        raise NotPossible(f"alias {alias!r} has {backend}, and these can be adopted: {known}")
    kept = {name: old[name] for name in ("TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION") if name in old}
    options: dict[str, Any] = {}
    made = Adoption(alias, {"BACKEND": BACKEND, "LOCATION": None, **kept, "OPTIONS": options})
    _BACKENDS[backend](made, old.get("LOCATION", ""), dict(old.get("OPTIONS") or {}), options)
    try:
        parse(alias, made.entry["LOCATION"], {name: value for name, value in options.items() if name != "password"})
    except ConfigurationError as error:
        made.obstacle("LOCATION", error.detail)
    return made


def _pymemcache(made: Adoption, location: Any, old: dict[str, Any], options: dict[str, Any]) -> None:
    options["coexist"] = "pymemcache"
    made.entry["LOCATION"] = memcached_location(location)
    serde = old.pop("serde", None)
    if serde is not None and type(serde).__name__ not in ("PickleSerde", "CompressedSerde"):
        made.obstacle("serde", "values of another serde than pymemcache's own are not read")
    elif serde is not None:
        made.remark("serde", "remove it: pickle, as before, and uncompressed; what is compressed is read")
    _refuse(made, old, ("hasher", "key_prefix", "serializer", "deserializer"))
    if not old.get("ignore_exc"):
        made.remark("ignore_exc", 'a failing node is a miss now; for an exception, as before: "on_error": "raise"')
    if old.pop("tls_context", None) is not None:
        made.remark("tls_context", 'it is "tls" now: an ssl.SSLContext')
    _rest(made, old, options, {"max_pool_size": "idle_connections"})


def _pylibmc(made: Adoption, location: Any, old: dict[str, Any], options: dict[str, Any]) -> None:
    behaviors = dict(old.pop("behaviors", None) or {})
    weighted, ketama = behaviors.pop("ketama_weighted", False), behaviors.pop("ketama", False)
    options["coexist"] = "pylibmc"
    options["ring"] = "libmemcached" if weighted else "ketama-unweighted" if ketama else "modula"
    made.entry["LOCATION"] = memcached_location(location, weights=bool(weighted))
    made.remark("behaviors", f'keys are placed by "ring": "{options["ring"]}"')
    for name in ("hash", "ketama_hash", "distribution", "num_replicas", "_hash_with_prefix_key", "_sort_hosts"):
        if behaviors.pop(name, 0) not in (0, False, None, "default", "modula"):
            made.obstacle(name, _ELSEWHERE)
    if old.pop("username", None) or old.pop("password", None):
        made.obstacle("username", "SASL is not supported; memcached -Y has a login that is")
    for name in ("connect_timeout", "send_timeout", "receive_timeout"):
        if behaviors.pop(name, 0):
            now = "connect_timeout" if name == "connect_timeout" else "timeout"
            made.remark(name, f'it is "{now}" now, in seconds')
    _rest(made, old | behaviors, options, {})


def _redis(made: Adoption, location: Any, old: dict[str, Any], options: dict[str, Any]) -> None:
    options["coexist"] = "redis"
    old.pop("db", None), old.pop("password", None), old.pop("username", None)
    _servers(made, location, options)
    if old.pop("serializer", None) is not None:
        made.obstacle("serializer", "name the same as OPTIONS['serializer'], a dotted path to dumps and loads")
    _rest(made, old, options, {})


def _django_redis(made: Adoption, location: Any, old: dict[str, Any], options: dict[str, Any]) -> None:
    options["coexist"] = "django-redis"
    old.pop("PASSWORD", None)
    _servers(made, location, options)
    client = str(old.pop("CLIENT_CLASS", "DefaultClient"))
    if client.endswith("SentinelClient"):
        made.remark("CLIENT_CLASS", "LOCATION names the server that is the primary now; sentinels are not asked")
    elif not client.endswith("DefaultClient"):
        made.obstacle("CLIENT_CLASS", f"with {client} {_ELSEWHERE}")
    for name, key, known in (("SERIALIZER", "serializer", _SERIALIZERS), ("COMPRESSOR", "compress", _COMPRESSORS)):
        given = str(old.pop(name, "")).rpartition(".")[2]
        if given in known:
            options.update({key: known[given]} if known[given] else {})
            made.remark(name, f'"{key}": "{known[given]}"' if known[given] else _UNWRITTEN)
        elif given:
            made.obstacle(name, f"{given} is none of django-redis' own")
    if "PICKLE_VERSION" in old:
        options["pickle_protocol"] = int(old.pop("PICKLE_VERSION"))
    if not old.pop("IGNORE_EXCEPTIONS", False):
        made.remark("IGNORE_EXCEPTIONS", 'a failing server is a miss now; for an exception: "on_error": "raise"')
    _rest(made, old, options, {"SOCKET_TIMEOUT": "timeout", "SOCKET_CONNECT_TIMEOUT": "connect_timeout"})


_UNWRITTEN = "what it wrote is read; what is written now is not compressed"
_SERIALIZERS = {
    "PickleSerializer": "pickle",
    "JSONSerializer": "django_dcache.django_json.DjangoJSON",
    "MSGPackSerializer": "msgpack",
}
_COMPRESSORS = {
    "IdentityCompressor": "",
    "ZlibCompressor": "zlib",
    "ZStdCompressor": "zstd",
    "Lz4Compressor": "lz4",
    "GzipCompressor": "",
    "LzmaCompressor": "",
}
Fill = Callable[[Adoption, Any, dict[str, Any], dict[str, Any]], None]
_BACKENDS: dict[str, Fill] = {
    f"{_MEMCACHED}PyMemcacheCache": _pymemcache,
    f"{_MEMCACHED}PyLibMCCache": _pylibmc,
    "django_redis.cache.RedisCache": _django_redis,
    "django.core.cache.backends.redis.RedisCache": _redis,
}


def _servers(made: Adoption, location: Any, options: dict[str, Any]) -> None:
    found = redis_location(location)
    made.entry["LOCATION"] = found.address
    if found.others:
        made.remark("LOCATION", f"{found.others} replica(s) are left out: ours reads and writes the primary")
    if found.login:
        options["password"] = {"env": "REDIS_PASSWORD"}
        made.remark("LOCATION", "the login is left out here: set REDIS_PASSWORD, or write it as before")


def _refuse(made: Adoption, old: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if old.pop(name, None) is not None:
            made.obstacle(name, _ELSEWHERE)


def _rest(made: Adoption, old: dict[str, Any], options: dict[str, Any], renamed: Mapping[str, str]) -> None:
    for name, value in old.items():
        if name in renamed:
            options[renamed[name]] = value
            made.remark(name, f'it is "{renamed[name]}" now')
        elif name in ("timeout", "connect_timeout") and value:
            options[name] = value
        elif name not in DJANGO_OPTIONS:
            made.remark(name, advice(name) or _UNKNOWN)


def _written(value: Any, indent: str = "") -> str:
    """As it stands in settings."""
    if isinstance(value, dict):
        lines = [f"{indent}    {_written(name)}: {_written(part, indent + '    ')},\n" for name, part in value.items()]
        return f"{{\n{''.join(lines)}{indent}}}"
    if isinstance(value, list):
        return f"[{', '.join(_written(part, indent) for part in value)}]"
    if callable(value):
        return f'"{value.__module__}.{value.__qualname__}"'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
