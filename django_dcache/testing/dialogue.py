"""Just enough of memcached's language to know where one command or one reply ends; Redis' lines, and Ignite's frames.

Kept apart from `django_dcache.engines.memcached.protocol`, so that a test never judges a parser by itself.
"""

from collections.abc import Callable

_stores = {b"set", b"add", b"replace", b"append", b"prepend", b"cas"}


def command_block(line: bytes) -> int | None:
    """The size of the data block that follows this command line, or None."""
    match line.split():
        case [b"ms", _, size, *_] if size.isdigit():
            return int(size)
        case [verb, _, _, _, size, *_] if verb in _stores and size.isdigit():
            return int(size)
    return None


def reply_block(line: bytes) -> int | None:
    """The size of the data block that follows this reply line, or None."""
    match line.split():
        case [b"VA", size, *_] if size.isdigit():
            return int(size)
        case [b"VALUE", _, _, size, *_] if size.isdigit():
            return int(size)
    return None


class Splitter:
    """Cuts a stream into units: a line and, where `block` finds its size in that line, the data block after it."""

    def __init__(self, block: Callable[[bytes], int | None]):
        self._block = block
        self.rest = bytearray()
        """The beginning of a unit whose end has not arrived."""

    def feed(self, data: bytes) -> list[bytes]:
        """The units that `data` completes, each with its line ends."""
        self.rest += data
        units = []
        while unit := self._next():
            units.append(unit)
        return units

    def _next(self) -> bytes:
        end = self.rest.find(b"\n") + 1
        size = self._block(bytes(self.rest[:end]))
        if size is not None:
            end += size + len(b"\r\n")
        if end > len(self.rest):
            return b""
        unit = bytes(self.rest[:end])
        del self.rest[:end]
        return unit


class FrameSplitter:
    """Cuts a stream into frames, each of which begins with its length (4 bytes, little-endian)."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes."""
        self.rest += data
        units = []
        while len(self.rest) >= 4 and (end := 4 + int.from_bytes(self.rest[:4], "little")) <= len(self.rest):
            units.append(bytes(self.rest[:end]))
            del self.rest[:end]
        return units
