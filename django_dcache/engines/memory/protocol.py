"""Batches and replies as bytes: pickles, since both ends are this process."""

import pickle
from collections.abc import Sequence
from io import BytesIO

from ...commands import Answer, Command, Get, Reply, Value
from ...model.addresses import Login
from ...model.topology import Node


def encode(commands: Sequence[Command], first: int, now: float) -> bytes:
    """The bytes of a batch."""
    return pickle.dumps(list(commands))


class ReplyParser:
    """The replies to one batch, which come as one piece."""

    refused = tainted = False
    request = b""

    def __init__(self, commands: Sequence[Command], first: int, connection: int, most: int):
        self.replies: list[Reply] = []
        self.rest = 0
        self._wanted, self._most = len(commands), most

    @property
    def complete(self) -> bool:
        return len(self.replies) == self._wanted

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next replies, in `chunk` from `start` on; True once they are there."""
        if not chunk[start:]:
            return False
        pieces = BytesIO(chunk)
        pieces.seek(start)
        replies = pickle.load(pieces)  # What this process has written.
        self.replies = [Answer.MISS if self._too_large(reply) else reply for reply in replies]
        self.rest = len(chunk) - pieces.tell()
        return True

    def _too_large(self, reply: Reply) -> bool:
        return isinstance(reply, Value) and reply.data is not None and len(reply.data) > self._most


parser = ReplyParser


class Greeting:
    """One question that says nothing."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        self.returned = ""
        self.request = encode([Get(b"")], 0, 0.0)

    def feed(self, chunk: bytes) -> bool:
        return bool(chunk)
