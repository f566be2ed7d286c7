"""What a server says of its cluster: which servers there are, and whether the copies of a cache lag."""

from struct import Struct, calcsize
from struct import error as StructError

from ...errors import ProtocolViolation

SERVERS = Struct("<qihB").pack(0, 1, 2, 1)
"""The body of a request for the node ids of all servers, and of no client in Java."""
_ID_BYTES = 16
_count = Struct("<i").unpack_from
_NULL = 0x65
_REPLICATED, _FULL_SYNC = 1, 0
_CONFIGURATION = "iii?s??sqiis?iii?iqqiiqq?is"
"""What comes before a cache's writeSynchronizationMode; s: a string."""


def server_ids(body: bytes) -> set[str]:
    """Which run of which process each server is. Raises ProtocolViolation."""
    start = 1 + 8 + 4
    if len(body) < start or not body[0] or len(body) != start + _count(body, 9)[0] * _ID_BYTES:
        raise ProtocolViolation(f"{body[:20]!r} as the servers of its cluster")
    return {body[at : at + _ID_BYTES].hex() for at in range(start, len(body), _ID_BYTES)}


def lags(body: bytes) -> bool:
    """Whether a write to the cache is acknowledged before all of its copies have it, from its configuration. Raises
    ProtocolViolation."""
    position = 4
    try:
        _, backups, mode = Struct("<iii").unpack_from(body, position)
        for kind in _CONFIGURATION:
            if kind != "s":
                position += calcsize(f"<{kind}")
            elif body[position] == _NULL:
                position += 1
            else:
                position += 5 + _count(body, position + 1)[0]
        (synchronization,) = _count(body, position)
    except (IndexError, StructError) as error:
        raise ProtocolViolation(f"that is no cache's configuration: {error}") from None
    return bool((backups > 0 or mode == _REPLICATED) and synchronization != _FULL_SYNC)
