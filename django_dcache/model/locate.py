"""A key's place by arithmetic: its name, and a digest that says where that lies."""

from collections.abc import Iterable

from .keys import is_own_name, point_and_slot

try:
    from _md5 import md5  # Without the provider machinery of OpenSSL it takes half of the time.
except ImportError:
    from hashlib import md5


def locate(made_key: str) -> tuple[bytes, int, int] | None:
    """(name, point, slot); None for a key that is not its own name."""
    try:
        name = made_key.encode()
    except UnicodeEncodeError:
        return None
    if not is_own_name(name):
        return None
    point, slot = point_and_slot(md5(name).digest())
    return name, point, slot


def locate_many(made_keys: Iterable[str]) -> list[tuple[bytes, int, int]] | None:
    """The same for each; None if any is not its own name."""
    try:
        names = list(map(str.encode, made_keys))
    except UnicodeEncodeError:
        return None
    if not all(map(is_own_name, names)):
        return None
    return [(name, *point_and_slot(md5(name).digest())) for name in names]
