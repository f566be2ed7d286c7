"""The chunks of one value, which lie where their key does (docs/adr/0021), read and written as `shortcut_many` does it.

For the chunks that it stores or deletes a node gives one answer, behind that for the key.
"""

from collections.abc import Callable, Collection, Sequence
from time import time

from ..commands import Command, Get, Reply, Store, is_item
from ..engines import Parser
from ..engines.shortcut import InTurn
from ..flows import Item
from ..flows.read import Found
from ..values.chunks import IN_CHUNKS, Chunk
from .fleet import Fleet
from .plans import CopyPlan, Plan
from .shortcut import NeedsFlow
from .shortcut_many import Batch, Batches, hear, read

RECEIVE_BYTES = 2**20
"""What is received at once, at most."""


def fetch(fleet: Fleet, made_key: str, chunks: Sequence[Chunk]) -> list[bytes]:
    """The bytes of each chunk, none of one that is missing. Raises NeedsFlow."""
    batches = Batches(fleet)
    _, slot, plan = _place(batches, made_key)
    if not plan.read:
        raise NeedsFlow
    copy, numbers = plan.read[0], list(map(str, range(len(chunks))))
    batches.append(Batch(copy, [copy.key(chunk.name, slot) for chunk in chunks], numbers))
    found = read(batches, min(2 * (chunks[-1].end - chunks[0].begin), RECEIVE_BYTES))
    return [found[number][1] if number in found else b"" for number in numbers]


def look_and_store(
    fleet: Fleet, made_key: str, data: bytes, chunks: Sequence[Chunk], ttl: float | None
) -> tuple[Found, bool]:
    """Store chunks of `data`; what is under their key by now, and that they are stored. Raises NeedsFlow."""
    hot, expires, whole = fleet.hot, fleet.hot.expires(ttl), memoryview(data)
    in_pieces = hot.in_pieces or (lambda asked: (hot.one_store(asked),))

    def stores(copy: CopyPlan, slot: int, opaque: int) -> list[bytes]:
        pieces: list[bytes] = []
        for name, begin, end in chunks:
            pieces += in_pieces((copy.key(name, slot), end - begin, IN_CHUNKS, expires, whole[begin:end]))
        return [*pieces, hot.stores((), opaque)]

    name, there = _one_and_others(fleet, made_key, Get, stores, hot.stores_parser, len(chunks))
    return Found({name: there} if is_item(there) else {}), True


def store_and_remove(fleet: Fleet, made_key: str, item: Item, names: Collection[bytes]) -> bytes:
    """Store an index, and delete chunks of before behind it; the name of the key. Raises NeedsFlow."""
    hot = fleet.hot

    def index(name: bytes, generation: int) -> Store:
        return Store(name, generation, item.data, item.flags, item.ttl)

    def removes(copy: CopyPlan, slot: int, opaque: int) -> list[bytes]:
        return [hot.removes([copy.key(name, slot) for name in names], opaque)]

    name, _ = _one_and_others(fleet, made_key, index, removes, hot.removes_parser, len(names))
    return name


def _place(batches: Batches, made_key: str) -> tuple[bytes, int, Plan]:
    """Name, slot and plan of the key, which are those of its chunks as well. Raises NeedsFlow."""
    if batches.plans.view.placement.by_name:
        raise NeedsFlow  # A chunk's name is not its key's.
    return batches.plans.place(made_key)


def _one_and_others(
    fleet: Fleet,
    made_key: str,
    command: Callable[[bytes, int], Command],
    others: Callable[[CopyPlan, int, int], list[bytes]],
    parser: Callable[[int, int], Parser],
    number: int,
) -> tuple[bytes, Reply]:
    """The name of a key, and the reply to a `command` from that and its generation, behind which this `number` of
    others is sent, from slot and opaque number. Raises NeedsFlow, also where there are several copies."""
    batches = Batches(fleet)
    name, slot, plan = _place(batches, made_key)
    copy = plan.written
    if copy is None or not plan.single or not copy.pool.engine.ordered:
        raise NeedsFlow
    batch = Batch(copy, [])
    batches.append(batch)
    batches.connect(writes=True)
    connection, opaque = batch.connection, batch.first
    connection.opaque += 2
    one = [command(name, 0 if copy.generations is None else copy.generations.of(slot))]
    batch.request = b"".join([copy.pool.engine.encode(one, opaque, time()), *others(copy, slot, opaque + 1)])
    first = copy.pool.parser(one, opaque, connection)
    batch.parser = InTurn(first, parser(number, opaque + 1))
    batches.send(len(batch.request))  # Whatever it is: the answers are short, so no buffer can be full of them.
    hear(batches)
    return name, first.replies[0]
