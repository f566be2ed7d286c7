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

    def stores(copy: CopyPlan, slot: int) -> list[bytes]:
        return [
            hot.one_store((copy.key(name, slot), end - begin, IN_CHUNKS, expires, whole[begin:end]))
            for name, begin, end in chunks
        ]

    def request(look: bytes, parts: list[bytes], opaque: int) -> bytes:
        return hot.stores((look, *parts), opaque)

    name, there = _one_and_others(fleet, made_key, Get, stores, request, hot.stores_parser)
    return Found({name: there} if is_item(there) else {}), True


def store_and_remove(fleet: Fleet, made_key: str, item: Item, names: Collection[bytes]) -> bytes:
    """Store an index, and delete chunks of before behind it; the name of the key. Raises NeedsFlow."""

    def index(name: bytes, generation: int) -> Store:
        return Store(name, generation, item.data, item.flags, item.ttl)

    def removes(copy: CopyPlan, slot: int) -> list[bytes]:
        return [copy.key(name, slot) for name in names]

    def request(store: bytes, parts: list[bytes], opaque: int) -> bytes:
        return store + fleet.hot.removes(parts, opaque)

    name, _ = _one_and_others(fleet, made_key, index, removes, request, fleet.hot.removes_parser)
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
    others: Callable[[CopyPlan, int], list[bytes]],
    request: Callable[[bytes, list[bytes], int], bytes],
    parser: Callable[[int, int], Parser],
) -> tuple[bytes, Reply]:
    """The name of a key, and the reply to a `command` from that and its generation, behind which the `others` are sent.
    Raises NeedsFlow, also where there are several copies."""
    batches = Batches(fleet)
    name, slot, plan = _place(batches, made_key)
    copy = plan.written
    if copy is None or not plan.single or not copy.pool.engine.ordered:
        raise NeedsFlow
    batch = Batch(copy, others(copy, slot))
    batches.append(batch)
    batches.connect(writes=True)
    one = [command(name, 0 if copy.generations is None else copy.generations.of(slot))]
    batch.request = request(copy.pool.engine.encode(one, batch.first, time()), batch.parts, batch.first + 1)
    first = copy.pool.parser(one, batch.first, batch.connection)
    batch.parser = InTurn(first, parser(len(batch.parts), batch.first + 1))
    batch.connection.opaque += 2
    batches.send(len(batch.request))  # The answers are short: no buffer can be full of them.
    hear(batches)
    return name, first.replies[0]
