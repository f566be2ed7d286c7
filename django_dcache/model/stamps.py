"""How an item below an invalidated prefix tells under which generation of that prefix it was stored (docs/adr/0028).

The generation has two parts. What changes with each invalidation is the *stamp*, nine bits among the flags of an item:
the name stays, so that processes which know different generations still meet at one item. Every 512th invalidation
changes the name instead, and stamps begin anew.
"""

from typing import NamedTuple

STAMPS = 512
_SHIFT = 20
_KIND = (1 << _SHIFT) - 1
_FOREIGN = STAMPS << _SHIFT
"""Flags from here on are of other software."""


class StampedName(bytes):
    """The name of a key below a prefix that was invalidated, and what its items are stamped with."""

    stamp: int

    def outdated(self, flags: int) -> bool:
        """Whether an item with these flags was stored before the last invalidation that this name knows of."""
        return flags >> _SHIFT < self.stamp

    def flags(self, flags: int) -> int:
        """With the stamp; what is copied keeps its own."""
        return flags if flags >> _SHIFT else flags | self.stamp << _SHIFT


class Generation(NamedTuple):
    """Of all prefixes of one key together."""

    renamed: int
    """How often the name was changed."""
    stamp: int

    @classmethod
    def of(cls, invalidations: int) -> "Generation":
        return cls(*divmod(invalidations, STAMPS))


def stamped(name: bytes, stamp: int) -> StampedName:
    found = StampedName(name)
    found.stamp = stamp
    return found


def with_stamp(name: bytes, flags: int) -> int:
    """The flags of what is stored under `name`."""
    return name.flags(flags) if isinstance(name, StampedName) else flags


def unstamped(flags: int) -> int:
    """What a value's flags say of the value itself."""
    return flags & _KIND if flags < _FOREIGN else flags
