"""A key's place by arithmetic: its name, a digest, and a search among the points of the ring."""

from bisect import bisect_left
from collections.abc import Sequence

from . import keys

try:
    from _md5 import md5  # Without the provider machinery of OpenSSL it takes half of the time.
except ImportError:
    from hashlib import md5


def locate(made_key: str, points: Sequence[int]) -> tuple[bytes, int, int] | None:
    """(name, place of the first point that is no less than the key's, slot); None for a key that is not its own name.

    Past the last point the place is their number: the ring wraps.
    """
    try:
        name = made_key.encode()
    except UnicodeEncodeError:
        return None
    if not keys.is_own_name(name):
        return None
    point, slot = keys.point_and_slot(md5(name).digest())  # nosec B324
    return name, bisect_left(points, point), slot
