"""How objects become bytes. A serializer is named after the library that does it; the flags tell the format only, so
what one JSON library wrote any other can read.
"""

import json
import pickle
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from .plain import PICKLE, Load

JSON, MESSAGE_PACK = 1 << 8, 2 << 8
FIRST_OWN = 16
"""The least number of a format that is not ours; the last is 255."""
NAMES = ("pickle", "json", "msgpack", "msgspec")


class Serializer(NamedTuple):
    flags: int
    dump: Callable[[Any], bytes]
    load: Load


def find(name: str, pickle_protocol: int = pickle.HIGHEST_PROTOCOL) -> Serializer:
    """The serializer called so, or the object at that dotted path. Raises ConfigurationError."""
    if name == "pickle":
        return Serializer(PICKLE, lambda value: pickle.dumps(value, pickle_protocol), pickle.loads)
    if name == "json":
        return Serializer(JSON, _json, _from_json)
    if name == "msgpack":
        msgpack = library("msgpack", "msgpack")
        return Serializer(MESSAGE_PACK, msgpack.packb, partial(msgpack.unpackb, strict_map_key=False))
    if name == "msgspec":
        msgspec = library("msgspec.json", "msgspec")
        return Serializer(JSON, msgspec.Encoder().encode, msgspec.Decoder().decode)
    return _own(name)


def loads(names: Iterable[str]) -> dict[int, Load]:
    """How to load what these serializers wrote, by flags; the first of a format counts. Raises ConfigurationError."""
    found: dict[int, Load] = {}
    for name in names:
        serializer = find(name)
        if serializer.flags in found and serializer.flags >= FIRST_OWN << 8:
            raise ConfigurationError(
                f"serializer {name!r} has the number {serializer.flags >> 8} of another one in use; give the object "
                f"a `number` of its own, from {FIRST_OWN} to 255"
            )
        found.setdefault(serializer.flags, serializer.load)
    return found


def library(module: str, extra: str) -> Any:
    """A module that an extra brings. Raises ConfigurationError."""
    try:
        return import_module(module)
    except ImportError:
        raise ConfigurationError(f"{module} is not installed; pip install 'django-dcache[{extra}]'") from None


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json(value: Any) -> bytes:
    return _encoder.encode(value).encode()


def _from_json(data: bytes) -> Any:
    return json.loads(data.decode())  # From bytes it would guess the encoding, at some cost.


def _own(path: str) -> Serializer:
    module, _, attribute = path.rpartition(".")
    try:
        owner = import_module(module or path)
        serializer = getattr(owner, attribute) if module else owner
    except (ImportError, AttributeError, ValueError) as error:
        known = ", ".join(NAMES)
        raise ConfigurationError(f"serializer {path!r}: {error}; want {known}, or a dotted path") from None
    if isinstance(serializer, type):
        serializer = serializer()
    number = getattr(serializer, "number", FIRST_OWN)
    if not callable(getattr(serializer, "dumps", None)) or not callable(getattr(serializer, "loads", None)):
        raise ConfigurationError(f"serializer {path!r} has no methods dumps and loads")
    if type(number) is not int or not FIRST_OWN <= number <= 255:
        raise ConfigurationError(f"serializer {path!r} has number {number!r}, want {FIRST_OWN} to 255")
    return Serializer(number << 8, serializer.dumps, serializer.loads)
