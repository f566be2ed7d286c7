"""Values above `chunk_bytes`: chunks, carried some at a time, and an index that says what there is (docs/adr/0021)."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from .commands import Value
from .conf import Options
from .errors import UnreadableValue, ValueTooLarge
from .flows import Flow, Item, Operation, Run
from .flows.drop import drop
from .flows.read import Found, fetch
from .flows.together import together
from .flows.write import write
from .model import keys
from .model.view import View
from .runtime import shortcut_chunks
from .runtime.fleet import Fleet
from .values.chunks import IDENTITY_BYTES, IN_CHUNKS, Chunk, Index
from .values.signature import TAG_BYTES

OUTLIVE_SECONDS = 60
"""By which chunks outlive twice their index's timeout: it is stored after them, and may be touched."""


class Large(NamedTuple):
    """What to store, and more than one item can be."""

    flags: int
    data: bytes
    ttl: float | None


def item_bytes(options: Options) -> int:
    """The most that is stored in one item."""
    most = stored_bytes(options)
    return min(options.chunk_bytes, most) if options.chunk_bytes else most


def stored_bytes(options: Options) -> int:
    """The most bytes that a value takes, with its signature."""
    return options.max_value + (TAG_BYTES if options.sign_values else 0)


def large(options: Options, flags: int, data: bytes, ttl: float | None) -> Large:
    """What is more than `item_bytes`. Raises ValueTooLarge."""
    if len(data) > stored_bytes(options):
        raise ValueTooLarge(f"{len(data):,} bytes, and max_value is {options.max_value:,}")
    return Large(flags, data, ttl)


def store(fleet: Fleet, made_key: str, large: Large) -> Operation:
    """Store the chunks; the item to be stored under the key then, or None if one of them could not be stored."""
    item, _ = yield from _store(fleet, made_key, large, looks=False)
    return item


def _store(fleet: Fleet, made_key: str, large: Large, looks: bool) -> Operation:
    """The same, and if it `looks` the index that was under the key before."""
    flags, data, ttl = large
    index = Index(os.urandom(IDENTITY_BYTES), fleet.options.chunk_bytes, len(data))
    outlives = None if ttl is None else 2 * ttl + OUTLIVE_SECONDS
    before = None
    for chunks in _rounds(fleet, made_key, index):
        if looks:  # In the round of the first chunks: whatever is there now, they do not touch it.
            short_cut = partial(shortcut_chunks.look_and_store, fleet, made_key, data, chunks, outlives)
            found, stored = yield Run(_look_and_store, (made_key, data, chunks, outlives), short_cut)
            before, looks = _only(found), False
        else:
            stored = yield Run(_store_chunks, (data, chunks, outlives))
        if not stored:
            return None, before
    return Item(flags | IN_CHUNKS, index.encode(), ttl), before


def _look_and_store(
    view: View, made_key: str, data: bytes, chunks: Sequence[Chunk], ttl: float | None
) -> Flow[tuple[Found, bool]]:
    return together(fetch(view, (view.name(made_key),)), _store_chunks(view, data, chunks, ttl))


def _store_chunks(view: View, data: bytes, chunks: Sequence[Chunk], ttl: float | None) -> Flow[bool]:
    """Whether all of them are stored."""
    outcomes = yield from write(view, {name: Item(IN_CHUNKS, data[begin:end], ttl) for name, begin, end in chunks})
    return all(outcome.successful for outcome in outcomes.values())


def replace(
    fleet: Fleet, items: Mapping[str, Any], write: Callable[[dict[str, Any], Collection[bytes]], Operation]
) -> Operation:
    """The outcomes of writing these, some of which are large. `write` also deletes chunks of before, behind the index
    that takes the place of theirs: no process needs them any more."""
    items, unneeded = dict(items), []
    for made_key, item in items.items():
        if isinstance(item, Large):
            items[made_key], before = yield from _store(fleet, made_key, item, looks=True)
            unneeded += _names(fleet, made_key, before)
    outcomes = yield from write(items, unneeded[0] if unneeded else ())
    yield from _delete(unneeded[1:])
    return outcomes


def add(fleet: Fleet, made_key: str, large: Large, add: Callable[[str, Item | None], Operation]) -> Operation:
    """Whether it was added."""
    index = yield from store(fleet, made_key, large)
    added = yield from add(made_key, index)
    if not added:
        yield from _delete(_names(fleet, made_key, index))
    return added


def load(fleet: Fleet, made_key: str, index: Value) -> Operation:
    """(flags, bytes) of what an index tells of. Raises UnreadableValue if a chunk is missing; the index is gone then.

    A value that is replaced while it is read is read once more.
    """
    data = yield from _joined(fleet, made_key, index)
    if data is None:
        yield Run(lambda view: drop(view, view.name(made_key), index.data))
        index = yield from present(fleet, made_key)
        data = None if index is None else (yield from _joined(fleet, made_key, index))
    if data is None:
        raise UnreadableValue("a chunk is missing")
    return index.flags & ~IN_CHUNKS, data


def _joined(fleet: Fleet, made_key: str, index: Value) -> Operation:
    """The bytes, or None."""
    parts: list[bytes] = []
    for chunks in _rounds(fleet, made_key, _index(fleet, index)):
        found = yield Run(_fetch_chunks, (chunks,), partial(shortcut_chunks.fetch, fleet, made_key, chunks))
        if any(len(part) != end - begin for part, (_, begin, end) in zip(found, chunks, strict=True)):
            return None
        parts += found
    return b"".join(parts)


def _fetch_chunks(view: View, chunks: Sequence[Chunk]) -> Flow[list[bytes]]:
    """The bytes of each, none of one that is missing."""
    found = yield from fetch(view, [chunk.name for chunk in chunks])
    return [found[chunk.name].data or b"" if chunk.name in found else b"" for chunk in chunks]


def present(fleet: Fleet, made_key: str) -> Operation:
    """The index that is under the key now, or None."""
    return _only((yield Run(lambda view: fetch(view, (view.name(made_key),)))))


def _only(found: Found) -> Value | None:
    """The index that was found, if there is one."""
    return next((value for value in found.values() if value.flags & IN_CHUNKS), None)


def _names(fleet: Fleet, made_key: str, index: Value | Item | None) -> list[list[bytes]]:
    """Of the chunks that an index tells of, by rounds."""
    try:
        rounds = _rounds(fleet, made_key, _index(fleet, index)) if index else ()
    except UnreadableValue:
        rounds = ()
    return [[chunk.name for chunk in chunks] for chunks in rounds]


def _delete(names: Iterable[Iterable[bytes]]) -> Operation:
    for at_once in names:
        yield Run(write, (dict.fromkeys(at_once),))


def _index(fleet: Fleet, index: Value | Item) -> Index:
    return Index.decode(index.data or b"", fleet.options.max_value + TAG_BYTES)


def _rounds(fleet: Fleet, made_key: str, index: Index) -> Iterable[list[Chunk]]:
    name = keys.name(made_key, hash_tags=fleet.options.hash_tags)
    return index.rounds(keys.digest(name, fleet.options.hash_tags))
