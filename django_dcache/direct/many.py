"""Get, set and delete of many keys: one pipelined batch a node, all sent before the first reply is awaited."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from ..fleet import Fleet
from ..flows.state import bump
from ..keys import RESERVED
from ..transport.connection import Connection
from ..transport.pool import Pool
from ..view import Slot
from .known import Known, TakeFlow, begin, look_up_many, take

CHUNK = 64 * 1024
READ_BYTES, WRITE_BYTES = 24 * 1024, 128 * 1024
"""The most that is sent to a node before its replies are read, so that neither side blocks on a full buffer."""

_answer = re.compile(rb"(?:VA (\d{1,8}) f(\d{1,9})|EN) O(\d{1,10})( Z)?\r\n").match

ByNode = dict[Pool, list[bytes]]


class Batch:
    """What one node is asked, over one connection. `opaque` is the number of its first command that has one."""

    __slots__ = ("pool", "connection", "opaque", "request")

    def __init__(self, pool: Pool, write_at: float | None = None):
        self.pool = pool
        self.connection: Connection = take(pool, write_at)
        self.opaque = self.connection.opaque
        self.request = b""

    def send(self) -> None:
        try:
            if self.connection.socket.send(self.request) != len(self.request):
                self.connection.close()
        except OSError:
            self.connection.close()

    def finish(self) -> None:
        """Back to the pool with a connection that was not closed on the way."""
        if self.connection.socket.fileno() >= 0:
            self.pool.idle.append(self.connection)


def _send(batches: Iterable[Batch], most: int) -> None:
    """To every node, or, if it is too much for one go anywhere, to none. Raises TakeFlow."""
    if any(len(batch.request) > most for batch in batches):
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
    deadline = begin(fleet) + fleet.options.timeout
    places = look_up_many(fleet, made_keys)
    asked: dict[Pool, list[Known]] = defaultdict(list)
    wire_keys: ByNode = defaultdict(list)
    rest: list[str] = []
    for known in places:
        if known.read is None:
            rest.append(known.made_key)
        else:
            _, pool, key, _ = known.read
            asked[pool].append(known)
            wire_keys[pool].append(key)
    batches: list[Batch] = []
    found: dict[str, tuple[int, bytes]] = {}
    sent = False
    try:
        for pool, wanted in wire_keys.items():
            batch = Batch(pool)
            batches.append(batch)
            batch.request = b"".join([b"mg %b v f O%d\r\n" % pair for pair in zip(wanted, count(batch.opaque))])
            batch.connection.opaque += len(wanted)
        _send(batches, READ_BYTES)
        sent = True
        for batch, there in zip(batches, asked.values(), strict=True):
            rest += _collect(fleet, batch, there, found, deadline)
    except TakeFlow:
        _give_up(batches, sent)
        return {}, [known.made_key for known in places]
    except BaseException:
        _give_up(batches, True)
        raise
    for batch in batches:
        batch.finish()
    return found, rest


def _collect(
    fleet: Fleet, batch: Batch, asked: Sequence[Known], found: dict[str, tuple[int, bytes]], deadline: float
) -> list[str]:
    """Read the replies to a batch; the keys that another copy may have, or that got no answer."""
    opaque, position, data = batch.opaque, 0, b""
    missed: list[str] = []
    number, wanted = 0, len(asked)
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
                known = asked[number]
                if size is None:
                    if not known.last:
                        missed.append(known.made_key)
                    position = start
                else:
                    stop = start + int(size)
                    if len(data) < stop + 2:
                        break
                    if not data.startswith(b"\r\n", stop):
                        raise OSError("a value that does not end where it should")
                    if not stub:
                        found[known.made_key] = int(flags), data[start:stop]
                    elif not known.last:
                        missed.append(known.made_key)
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
    return missed + [known.made_key for known in asked[number:]]


def store_many(fleet: Fleet, items: Mapping[str, tuple[int, bytes]], ttl: int) -> tuple[set[str], list[str]]:
    """The keys that could not be stored, and those that need the flow. `items`: (flags, data). Raises InvalidKey."""
    began = begin(fleet)
    places = look_up_many(fleet, items)
    commands: ByNode = defaultdict(list)
    for known, (flags, data) in zip(places, items.values(), strict=True):
        rest = b" %d F%d T%d q\r\n%b\r\n" % (len(data), flags, ttl, data)
        for _, pool, key, _ in known.write:
            commands[pool].append(b"ms %b%b" % (key, rest))
    return _tell_many(fleet, began, places, commands, stores=True)


def remove_many(fleet: Fleet, made_keys: Iterable[str]) -> tuple[set[str], list[str]]:
    """The keys that somebody may still read, and those that need the flow. Raises InvalidKey."""
    began = begin(fleet)
    places = look_up_many(fleet, made_keys)
    commands: ByNode = defaultdict(list)
    for known in places:
        for _, pool, _, remove in known.write:
            commands[pool].append(remove)
    return _tell_many(fleet, began, places, commands, stores=False)


def _tell_many(
    fleet: Fleet, began: float, places: Sequence[Known], commands: ByNode, stores: bool
) -> tuple[set[str], list[str]]:
    """The commands are quiet: a node says only what went wrong, and answers one last one to say that it is through."""
    batches: list[Batch] = []
    sent = False
    try:
        for pool, parts in commands.items():
            batch = Batch(pool, began)
            batches.append(batch)
            batch.request = b"%bmd %b O%d\r\n" % (b"".join(parts), RESERVED, batch.opaque)
            batch.connection.opaque += 1
        _send(batches, WRITE_BYTES)
        sent = True
        ends = {batch.pool: _end(fleet, batch, began + fleet.options.timeout) for batch in batches}
    except TakeFlow:
        _give_up(batches, sent)
        return set(), [known.made_key for known in places]
    except BaseException:
        _give_up(batches, True)
        raise
    for batch in batches:
        batch.finish()
    rest = [known.made_key for known in places if not known.write]
    if all(ends.values()):
        return set(), rest
    done: set[str] = set()
    lost: dict[str, set[Slot]] = {}
    for known in places:
        said = [ends[spot.pool] for spot in known.write]
        if False in said:
            rest.append(known.made_key)
        if True in said:
            done.add(known.made_key)
        if None in said:
            lost[known.made_key] = {(spot.node, known.slot) for spot in known.write if ends[spot.pool] is None}
    harmless = not lost or fleet.run(bump, set().union(*lost.values()))
    return {key for key in lost if not harmless or (stores and key not in done)}, rest


def _end(fleet: Fleet, batch: Batch, deadline: float) -> bool | None:
    """How a batch of quiet commands ended. True: all were done; False: some were refused; None: nobody knows."""
    closing, data, began = b"NF O%d\r\n" % batch.opaque, b"", fleet.clock()
    receive = batch.connection.socket.recv
    try:
        while not data.endswith(closing) and len(data) < CHUNK:
            chunk = receive(CHUNK)
            if not chunk or fleet.clock() > deadline:
                break
            data += chunk
    except OSError:
        pass
    if data.endswith(closing):
        # Of a key that was not there 1.6.18 says so all the same.
        words = data[: -len(closing)].replace(b"NF\r\n", b"")
        if not words:
            return True
        batch.connection.close()
        if all(word.startswith(b"SERVER_ERROR") for word in words.splitlines()):
            return False
    batch.connection.close()
    if fleet.clock() - began > fleet.options.timeout / 4:
        batch.pool.breaker.failed()
    return None
