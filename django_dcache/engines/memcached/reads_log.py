"""memcached's log of the reads it serves, which it writes to those who watch it. Pure bytes.

It drops lines rather than let a reader of the log slow it down, so the log is a sample when the node is busy.
"""

import re
from urllib.parse import unquote_to_bytes

from ...errors import ProtocolViolation
from ..inspection import NotListed, word

MAX_LINE_BYTES = 65536
_read = re.compile(rb"^ts=\S+ gid=\d+ type=item_get key=(\S+) ", re.MULTILINE)


class ReadsLog:
    """Asks for the log. `feed` returns the wire keys that were read."""

    request = b"watch fetchers\r\n"

    def __init__(self) -> None:
        self._rest, self._welcome = b"", False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The keys in what came. Raises NotListed, ProtocolViolation."""
        lines, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise ProtocolViolation("a line without an end")
        if newline and not self._welcome:
            first, _, lines = lines.partition(b"\n")
            if first != b"OK\r":
                raise NotListed(word(first.strip()))
            self._welcome = True
        keys: list[bytes] = _read.findall(lines)
        return [unquote_to_bytes(key) if b"%" in key else key for key in keys]
