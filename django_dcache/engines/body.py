"""The bytes of a value that comes in several chunks, in protocols that tell its length before it and end its line."""

from ..errors import ProtocolViolation

END = b"\r\n"


class Body:
    """Kept as it comes, and copied once: the time that a large value takes is that of its copies."""

    __slots__ = ("missing", "_parts")

    def __init__(self, size: int, chunk: bytes, start: int):
        """A value of `size` bytes, which begins in `chunk` at `start`."""
        self._parts: list[bytes | memoryview] = [memoryview(chunk)[start:]]
        self.missing = start + size + len(END) - len(chunk)

    def feed(self, chunk: bytes, start: int = 0) -> int:
        """Take what belongs to it; where in `chunk` the next reply begins."""
        stop = min(start + self.missing, len(chunk))
        self._parts.append(chunk if stop - start == len(chunk) else memoryview(chunk)[start:stop])
        self.missing -= stop - start
        return stop

    def joined(self) -> bytes:
        """The value, once nothing is missing. Raises ProtocolViolation."""
        last = self._parts.pop()
        if len(last) < len(END):  # It is cut in the middle of its end.
            last = b"".join((self._parts.pop(), last))
        if last[-len(END) :] != END:
            raise ProtocolViolation("a value that does not end where it should")
        return b"".join((*self._parts, memoryview(last)[: -len(END)]))
