"""What is said first on every connection: who we are, which database is meant, and whether the server can be a node.

A replica takes no writes, a server in cluster mode sends keys elsewhere, one that is loading or hangs in a script
answers nothing: all of them say so here, before anything is at stake.
"""

from typing import Any

from ...errors import ProtocolViolation
from ...model.addresses import Login, parse
from ...model.state import mark_key
from ...model.topology import Node
from .items import pack
from .resp import Error, Reader, Status, command
from .scripts import MARK

OLDEST, OLDEST_VALKEY = (6, 2), (7, 2)
"""The oldest versions that are supported."""


class Greeting:
    """One exchange of greetings."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        self.returned = ""
        database = parse(node.address).database
        auth = (b"AUTH", (login.user or "default").encode(), login.password.encode()) if login else ()
        select = [command(b"SELECT", b"%d" % database)] if database else []
        look = [command(b"EVAL", MARK, b"1", mark_key(fleet), pack(0, b""))] if fleet else []
        parts = [command(b"HELLO", b"2", *auth), *select, command(b"PING"), *look]
        self._looks = bool(look)
        self.request = b"".join(parts)
        self._count = len(parts)
        self._reader = Reader(self._count, 2**16, 64)

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the server has greeted. Raises ProtocolViolation."""
        complete = self._reader.feed(chunk)
        for reply in self._reader.raw:
            if type(reply) is Error and reply is not self._mark:
                raise ProtocolViolation(f"it said {reply[:80].decode('ascii', 'replace')!r}")
        if not complete:
            return False
        hello, *others = self._reader.raw[: -1 if self._looks else None]
        if self._reader.rest or any(type(reply) is not Status for reply in others):
            raise ProtocolViolation("more was said than asked for")
        facts = dict(zip(hello[::2], hello[1::2], strict=False)) if isinstance(hello, list) else {}
        if facts.get(b"role") != b"master":
            raise ProtocolViolation("it is a replica, which takes no writes")
        if facts.get(b"mode") != b"standalone":
            raise ProtocolViolation("it is part of a Redis Cluster; each node of a fleet stands alone")
        if type(self._mark) is bytes and self._mark[:64].isalnum():
            self.returned = self._mark[:64].decode("ascii", "replace")
        return True

    @property
    def _mark(self) -> Any:
        """What was said about the mark; a login that may not ask for it is not known by one."""
        replies = self._reader.raw
        return replies[-1] if self._looks and len(replies) == self._count else None
