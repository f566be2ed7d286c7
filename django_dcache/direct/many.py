"""Get, set and delete of many keys: one pipelined batch a node, all sent before the first reply is awaited."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ..fleet import Fleet
from ..flows.state import bump
from ..transport.connection import Connection
from ..transport.pool import Pool
from ..view import Slot
from .known import Known, TakeFlow, begin, look_up, take

CHUNK = 64 * 1024
READ_BYTES, WRITE_BYTES = 24 * 1024, 128 * 1024
"""The most that is sent to a node before its replies are read, so that neither side blocks on a full buffer."""

_answer = re.compile(rb"(?:VA (\d{1,8}) f(\d{1,9})|EN) O(\d{1,10})( Z)?\r\n").match


class Batch:
    """What one node is asked, over one connection."""

    __slots__ = ("pool", "connection", "opaque", "asked", "parts")

    def __init__(self, pool: Pool, write_at: float | None = None):
        self.pool = pool
        self.connection: Connection = take(pool, write_at)
        self.opaque = self.connection.opaque
        self.asked: list[tuple[str, Known]] = []
        self.parts: list[bytes] = []

    def add(self, made_key: str, known: Known, verb: bytes, key: bytes, rest: bytes, tail: bytes = b"\r\n") -> None:
        asked = self.asked
        self.parts.append(b"%b %b%b O%d%b" % (verb, key, rest, self.opaque + len(asked), tail))
        asked.append((made_key, known))

    def send(self) -> None:
        request = b"".join(self.parts)
        self.connection.opaque = self.opaque + len(self.asked)
        try:
            if self.connection.socket.send(request) != len(request):
                self.connection.close()
        except OSError:
            self.connection.close()

    def finish(self) -> None:
        """Back to the pool with a connection that was not closed on the way."""
        if self.connection.socket.fileno() >= 0:
            self.pool.idle.append(self.connection)


def _send(batches: Iterable[Batch], most: int) -> None:
    """To every node, or, if it is too much for one go anywhere, to none. Raises TakeFlow."""
    if any(sum(map(len, batch.parts)) > most for batch in batches):
        raise TakeFlow
    for batch in batches:
        batch.send()


def _give_up(batches: Iterable[Batch], sent: bool) -> None:
    for batch in batches:
        if sent:
            batch.connection.close()
        else:
            batch.finish()


def get_many(fleet: Fleet, made_keys: Iterable[str]) -> tuple[dict[str, tuple[int, bytes]], list[str]]:
    """(flags, data) of what was found, and the keys that need the flow. Raises InvalidKey, before anything is sent."""
    places = [(made_key, look_up(fleet, made_key)) for made_key in made_keys]
    deadline = fleet.clock() + fleet.options.timeout
    batches: dict[Pool, Batch] = {}
    found: dict[str, tuple[int, bytes]] = {}
    rest: list[str] = []
    sent = False
    try:
        for made_key, known in places:
            spot = known.read
            if spot is None:
                rest.append(made_key)
                continue
            batch = batches.get(spot.pool)
            if batch is None:
                batch = batches[spot.pool] = Batch(spot.pool)
            batch.add(made_key, known, b"mg", spot.key, b" v f")
        _send(batches.values(), READ_BYTES)
        sent = True
        for batch in batches.values():
            rest += _collect(fleet, batch, found, deadline)
    except TakeFlow:
        _give_up(batches.values(), sent)
        return {}, [made_key for made_key, _ in places]
    except BaseException:
        _give_up(batches.values(), True)
        raise
    for batch in batches.values():
        batch.finish()
    return found, rest


def _collect(fleet: Fleet, batch: Batch, found: dict[str, tuple[int, bytes]], deadline: float) -> list[str]:
    """Read the replies to a batch; the keys that another copy may have, or that got no answer."""
    asked, opaque, position, data = batch.asked, batch.opaque, 0, b""
    missed: list[str] = []
    number, wanted = 0, len(batch.asked)
    receive = batch.connection.socket.recv
    began = fleet.clock()
    try:
        while True:
            chunk = receive(CHUNK)
            if not chunk:
                break
            data = data[position:] + chunk if position < len(data) else chunk
            position = 0
            while number < wanted:
                match = _answer(data, position)
                if match is None:
                    break
                size, flags, echo, stub = match.groups()
                if int(echo) != opaque + number:
                    raise OSError("a reply to another command")
                start = match.end()
                made_key, known = asked[number]
                if size is None:
                    if not known.last:
                        missed.append(made_key)
                    position = start
                else:
                    stop = start + int(size)
                    if len(data) < stop + 2:
                        break
                    if not data.startswith(b"\r\n", stop):
                        raise OSError("a value that does not end where it should")
                    if not stub:
                        found[made_key] = int(flags), data[start:stop]
                    elif not known.last:
                        missed.append(made_key)
                    position = stop + 2
                number += 1
            if number == wanted:
                if position != len(data):
                    batch.connection.close()  # Something nobody asked for follows.
                return missed
            if fleet.clock() > deadline:
                break
    except OSError:
        pass
    batch.connection.close()
    if fleet.clock() - began > fleet.options.timeout / 4:
        batch.pool.breaker.failed()
    return missed + [made_key for made_key, _ in asked[number:]]


def store_many(fleet: Fleet, items: Mapping[str, tuple[int, bytes]], ttl: int) -> tuple[set[str], list[str]]:
    """The keys that could not be stored, and those that need the flow. `items`: (flags, data). Raises InvalidKey."""
    began = begin(fleet)
    requests = [
        (key, look_up(fleet, key), b" %d F%d T%d" % (len(data), flags, ttl), b"\r\n%b\r\n" % data)
        for key, (flags, data) in items.items()
    ]
    return _tell_many(fleet, began, b"ms", requests)


def remove_many(fleet: Fleet, made_keys: Iterable[str]) -> tuple[set[str], list[str]]:
    """The keys that somebody may still read, and those that need the flow. Raises InvalidKey."""
    began = begin(fleet)
    return _tell_many(fleet, began, b"md", [(key, look_up(fleet, key), b"", b"\r\n") for key in made_keys])


def _tell_many(
    fleet: Fleet, began: float, verb: bytes, requests: Sequence[tuple[str, Known, bytes, bytes]]
) -> tuple[set[str], list[str]]:
    batches: dict[Pool, Batch] = {}
    rest: list[str] = []
    done: set[str] = set()
    lost: dict[str, set[Slot]] = {}
    sent = False
    try:
        for made_key, known, middle, tail in requests:
            if not known.write:
                rest.append(made_key)
            for spot in known.write:
                batch = batches.get(spot.pool)
                if batch is None:
                    batch = batches[spot.pool] = Batch(spot.pool, began)
                batch.add(made_key, known, verb, spot.key, middle, tail)
        _send(batches.values(), WRITE_BYTES)
        sent = True
        for batch in batches.values():
            rest += _confirm(fleet, batch, verb, done, lost, began + fleet.options.timeout)
    except TakeFlow:
        _give_up(batches.values(), sent)
        return set(), [made_key for made_key, *_ in requests]
    except BaseException:
        _give_up(batches.values(), True)
        raise
    for batch in batches.values():
        batch.finish()
    if not lost:
        return set(), rest
    harmless = fleet.run(bump, set().union(*lost.values()))
    return {key for key in lost if not harmless or (verb == b"ms" and key not in done)}, rest


def _confirm(
    fleet: Fleet, batch: Batch, verb: bytes, done: set[str], lost: dict[str, set[Slot]], deadline: float
) -> list[str]:
    """Read the words a node said to a batch; the keys that it refused."""
    asked, opaque, data, lines = batch.asked, batch.opaque, b"", 0
    words = (b"HD", b"NF") if verb == b"md" else (b"HD",)
    refused: list[str] = []
    began = fleet.clock()
    try:
        while lines < len(asked) and fleet.clock() <= deadline:
            chunk = batch.connection.socket.recv(CHUNK)
            if not chunk:
                break
            data += chunk
            lines += chunk.count(b"\n")
    except OSError:
        pass
    replies = data.split(b"\r\n")
    last = replies.pop()
    if last or len(replies) != len(asked):
        batch.connection.close()
        if fleet.clock() - began > fleet.options.timeout / 4:
            batch.pool.breaker.failed()
    in_time = fleet.clock() <= deadline
    for number, (made_key, known) in enumerate(asked):
        reply = replies[number] if in_time and number < len(replies) else b""
        if reply[:2] in words and reply[2:] == b" O%d" % (opaque + number):
            done.add(made_key)
        elif reply.startswith(b"SERVER_ERROR"):
            refused.append(made_key)
            batch.connection.close()
        else:
            batch.connection.close()
            lost.setdefault(made_key, set()).add((batch.pool.node.name, known.slot))
    return refused
