"""A batch of commands, and its replies. Commands about different keys are under way at once; those about one key wait
for each other, because a server works at several requests of a connection at once."""

from collections import deque
from collections.abc import Iterator, Sequence

from ...commands import Command, Flush, Reply
from ...errors import ProtocolViolation
from .dialogues import Dialogue, begin
from .frames import MAX_FRAME_BYTES, Frames, request
from .items import OVERHEAD_BYTES

_SLACK_BYTES = 1024
"""Of a reply to a read, beside the item."""


def encode(cache: bytes, commands: Sequence[Command], first: int, now: float) -> bytes:
    """What is to be sent at once."""
    return b"".join([request(*next(begin(cache, line[0][1])), first + line[0][0]) for line in _lines(commands)])


Line = list[tuple[int, Command]]


def _lines(commands: Sequence[Command]) -> Iterator[Line]:
    """Commands of which each waits for the one before it, with their places in the batch."""
    if len(commands) == 1 or any(isinstance(command, Flush) for command in commands):
        yield list(enumerate(commands))
        return
    lines: dict[tuple[bytes, int], Line] = {}
    for place, command in enumerate(commands):
        assert not isinstance(command, Flush)
        lines.setdefault((command.name, command.generation), []).append((place, command))
    yield from lines.values()


class ReplyParser:
    """The replies to one batch, and what has to be sent meanwhile (`request`), so that the rest of them can come."""

    refused = False
    """An error is the reply to the command that it names."""

    def __init__(self, cache: bytes, commands: Sequence[Command], first: int, connection: int, most: int):
        self.replies: list[Reply] = []
        self.request = b""
        self.rest = 0
        self._cache, self._first, self._count = cache, first, len(commands)
        walks = any(isinstance(command, Flush) for command in commands)
        self._frames = Frames(MAX_FRAME_BYTES if walks else most + OVERHEAD_BYTES + _SLACK_BYTES)
        self._found: dict[int, Reply] = {}
        self._under_way: dict[int, tuple[Dialogue, deque[tuple[int, Command]]]] = {}
        for line in _lines(commands):
            self._begin(deque(line))

    @property
    def complete(self) -> bool:
        return len(self._found) == self._count

    @property
    def tainted(self) -> bool:
        """The replies can be trusted, the connection can't any more."""
        return self.rest > 0

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes, in `chunk` from `start` on; True once every reply is there."""
        sends: list[bytes] = []
        for number, body in self._frames.feed(chunk[start:] if start else chunk):
            place = number - self._first
            if place not in self._under_way:
                raise ProtocolViolation("a reply to another command")
            dialogue, line = self._under_way.pop(place)
            try:
                step = dialogue.send(body)
            except StopIteration as over:
                self._found[place] = over.value
                if line:
                    sends.append(self._begin(line))
            else:
                self._under_way[place] = dialogue, line
                sends.append(request(*step, number))
            if self.complete:
                self.replies = [self._found[n] for n in range(self._count)]
                self.rest = self._frames.rest
                return True
        if sends:
            self.request += b"".join(sends)
        return False

    def _begin(self, line: deque[tuple[int, Command]]) -> bytes:
        """The first request about the first command of a line."""
        place, command = line.popleft()
        dialogue = begin(self._cache, command)
        first = next(dialogue)
        self._under_way[place] = dialogue, line
        return request(*first, self._first + place)
