"""A value that holds only on conditions: while each of its tags has the version that was read before the value was
made, and, for those who ask for no older one, until a moment (docs/adr/0035).

The conditions precede the value's bytes; what they say is found out by the reader, who knows the tags' versions.
"""

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, NamedTuple

from ..errors import UnreadableValue, ValueTooLarge

CONDITIONAL = 128
"""Among the flags of a value whose bytes begin with conditions."""
VERSION_BYTES = 8
MOST_TAGS = 1000

_head = Struct(">dH")
_tag = Struct(f">{VERSION_BYTES}sB")


class Conditions(NamedTuple):
    """On what a value holds."""

    versions: Mapping[str, bytes]
    """By tag: the version that it has to have."""
    renew_at: float = float("inf")
    """Seconds since 1970, by the clock of the process that stored it: from then on it is *stale*."""

    def encode(self) -> bytes:
        """Raises ValueTooLarge for more than MOST_TAGS tags."""
        if len(self.versions) > MOST_TAGS:
            raise ValueTooLarge(f"{len(self.versions):,} tags, and a value has {MOST_TAGS:,} at most")
        parts = [_head.pack(self.renew_at, len(self.versions))]
        for tag, version in self.versions.items():
            name = tag.encode()
            parts += (_tag.pack(version, len(name)), name)
        return b"".join(parts)


class Conditional(Exception):
    """These bytes are a value on conditions."""

    def __init__(self, conditions: Conditions, open: Callable[[], Any]):
        self.conditions, self.open = conditions, open
        """`open`: the value. Raises UnreadableValue."""


def split(data: bytes) -> tuple[Conditions, bytes]:
    """The conditions, and the value's bytes. Raises UnreadableValue, struct.error, UnicodeDecodeError."""
    renew_at, count = _head.unpack_from(data)
    position, versions = _head.size, {}
    for _ in range(count):
        version, length = _tag.unpack_from(data, position)
        position += _tag.size + length
        versions[data[position - length : position].decode()] = version
    if position > len(data) or len(versions) != count or renew_at != renew_at:
        raise UnreadableValue(f"{len(data):,} bytes do not hold the {count} tags that they begin with")
    return Conditions(versions, renew_at), data[position:]
