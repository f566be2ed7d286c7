"""Whether a memcached keeps anything that is not one fleet's."""

import re
from collections.abc import Collection
from urllib.parse import quote

from ...errors import ProtocolViolation
from .introspection import LIST_KEYS


class Census:
    """A listing of all keys, broken off at the first one that may be another's.

    Ours are those that begin with one of `heads`, behind the marks of generations, long ones, of which nothing else is
    seen, and what is reserved for the fleet's state (model/keys.py).
    """

    request = LIST_KEYS

    def __init__(self, fleet: str, heads: Collection[str]):
        begins = "|".join(re.escape(quote(head, safe="")) for head in sorted(heads))
        ours = rf"key=(?:(?:%FF\d+%3B)?(?:(?:%FF~\d+%3B)?(?:{begins})|%FF%23)|_dc%3A{fleet}%3A)|END\r"
        self._stranger = re.compile(rf"^(?!{ours}).*".encode(), re.MULTILINE).search
        self._rest = b""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once all keys were seen. Raises ProtocolViolation at the first of another's, or
        where the node refuses."""
        lines, _, self._rest = (self._rest + chunk).rpartition(b"\n")
        if lines and (line := self._stranger(lines)):
            raise ProtocolViolation(f"{line[0][:80]!r}")
        return lines.endswith(b"END\r")
