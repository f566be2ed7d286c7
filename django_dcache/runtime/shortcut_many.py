"""Get, set and delete of many keys: one pipelined batch a node, all sent before the first reply is awaited."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from ..engines.memcached.batch import OUT_OF_STEP, Found
from ..engines.memcached.protocol import exptime
from ..engines.memcached.speed import answers, questions, readers, removals
from ..errors import NodeTimeout
from ..flows.consensus import bump
from ..model.keys import RESERVED
from ..model.view import Slot
from ..transport.connection import Connection
from ..transport.pool import Pool
from .fleet import Fleet
from .plan import Known, TakeFlow, begin, look_up_many, take

CHUNK = 64 * 1024
READ_BYTES, WRITE_BYTES = 24 * 1024, 128 * 1024
"""The most that is sent to a node before its replies are read, so that neither side blocks on a full buffer."""

ByNode = dict[Pool, list[bytes]]


class Batch:
    """What one node is asked, over one connection. `opaque` is the number of its first command that has one."""

    __slots__ = ("pool", "connection", "opaque", "request")

    def __init__(self, pool: Pool, began: float, writes: bool = True):
        self.pool = pool
        self.connection: Connection = take(pool, began, writes)
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


def get_many(fleet: Fleet, made_keys: Collection[str]) -> tuple[Found, list[str]]:
    """(flags, data) of what was found, and the keys that need the flow. Raises InvalidKey, before anything is sent."""
    began = begin(fleet)
    places = look_up_many(fleet, made_keys)
    asked, rest = readers(places)
    batches: list[Batch] = []
    found: Found = {}
    sent = False
    try:
        for pool, wanted in asked.items():
            batch = Batch(pool, began, writes=False)
            batches.append(batch)
            batch.request = questions(wanted, batch.opaque)
            batch.connection.opaque += len(wanted)
        _send(batches, READ_BYTES)
        sent = True
        for batch, wanted in zip(batches, asked.values(), strict=True):
            rest += _collect(fleet, batch, wanted, found, began + fleet.options.timeout)
    except TakeFlow:
        _give_up(batches, sent)
        return {}, [known.made_key for known in places]
    except BaseException:
        _give_up(batches, True)
        raise
    for batch in batches:
        batch.finish()
    return found, rest


def _collect(fleet: Fleet, batch: Batch, asked: list[Known], found: Found, deadline: float) -> list[str]:
    """Read the replies to a batch; the keys that another copy may have, or that got no answer."""
    position, data = 0, b""
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
            position, number = answers(data, 0, asked, number, batch.opaque, found, missed)
            if position == OUT_OF_STEP:
                break
            if number == wanted:
                if position != len(data):
                    batch.connection.close()  # Something nobody asked for follows.
                return missed
            if fleet.clock() > deadline:
                break
    except OSError:
        pass
    batch.connection.close()
    batch.pool.lost(batch.connection, NodeTimeout(), fleet.clock() - began, fleet.options.timeout)
    return missed + [known.made_key for known in asked[number:]]


def store_many(fleet: Fleet, items: Mapping[str, tuple[int, bytes]], ttl: float | None) -> tuple[set[str], list[str]]:
    """The keys that could not be stored, and those that need the flow. `items`: (flags, data). Raises InvalidKey."""
    began = begin(fleet)
    places = look_up_many(fleet, items)
    commands: ByNode = defaultdict(list)
    rest: list[str] = []
    expires = exptime(ttl, fleet.view.wall_clock())
    for known, (flags, data) in zip(places, items.values(), strict=True):
        tail = b" %d F%d T%d q\r\n%b\r\n" % (len(data), flags, expires, data)
        for _, pool, key, _ in known.write:
            commands[pool].append(b"ms %b%b" % (key, tail))
        if not known.write:
            rest.append(known.made_key)
    return _tell_many(fleet, began, places, commands, rest, stores=True)


def remove_many(fleet: Fleet, made_keys: Collection[str]) -> tuple[set[str], list[str]]:
    """The keys that somebody may still read, and those that need the flow. Raises InvalidKey."""
    began = begin(fleet)
    places = look_up_many(fleet, made_keys)
    return _tell_many(fleet, began, places, *removals(places), stores=False)


def _tell_many(
    fleet: Fleet, began: float, places: list[Known], commands: ByNode, rest: list[str], stores: bool
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
        # Sent too late, by a process that stood still, is as good as lost (transport/sync.py).
        late = fleet.clock() > began + fleet.options.timeout
        ends = {batch.pool: _end(fleet, batch, began + fleet.options.timeout) for batch in batches}
        ends = dict.fromkeys(ends) if late else ends
    except TakeFlow:
        _give_up(batches, sent)
        return set(), [known.made_key for known in places]
    except BaseException:
        _give_up(batches, True)
        raise
    for batch in batches:
        batch.finish()
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
            data += chunk
            if not chunk or fleet.clock() > deadline:
                break
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
    batch.pool.lost(batch.connection, NodeTimeout(), fleet.clock() - began, fleet.options.timeout)
    return None
