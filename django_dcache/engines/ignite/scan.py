"""A walk through the items of a cache, page by page."""

from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from ...errors import ProtocolViolation
from .frames import NULL, plain

MAX_PAGE_ITEMS = 100_000
_STRING, _BYTES = 9, 12
_WHOLE = Struct("<ii?").pack
_long = Struct("<q")
_int = Struct("<i").unpack_from
_object = Struct("<Bi").unpack_from
_sizes = {1: 1, 2: 2, 3: 4, 4: 8, 5: 4, 6: 8, 7: 2, 8: 1, 10: 16, 11: 8, 101: 0, 33: 12}
"""Of the objects of other software that have a fixed size, by their kind."""


def first_page(cache: bytes, items: int) -> bytes:
    """The body of a request: no filter, every partition."""
    return plain(cache) + NULL + _WHOLE(items, -1, False)


def next_page(cursor: int) -> bytes:
    return _long.pack(cursor)


class Page(NamedTuple):
    """Items as (wire key, what is stored as bytes); those of other software are left out."""

    cursor: int
    items: list[tuple[bytes, bytes]]
    more: bool

    @classmethod
    def read(cls, body: bytes, cursor: int | None) -> "Page":
        """From a reply; `cursor`: None of a first page, which says it. Raises ProtocolViolation."""
        position = 0
        try:
            if cursor is None:
                (cursor,), position = _long.unpack_from(body), 8
            (count,) = _int(body, position)
            if not 0 <= count <= MAX_PAGE_ITEMS:
                raise ProtocolViolation(f"a page of {count} items")
            position += 4
            items = []
            for _ in range(count):
                wire, position = _read(body, position, _STRING)
                stored, position = _read(body, position, _BYTES)
                name = _name(wire)
                if name is not None and stored is not None:
                    items.append((name, stored))
        except (IndexError, ValueError, ArithmeticError, StructError) as error:
            raise ProtocolViolation(f"that is no page: {error}") from None
        if len(body) != position + 1:
            raise ProtocolViolation("a page that does not end where it should")
        return cls(cursor, items, body[position] == 1)


def _read(body: bytes, position: int, wanted: int) -> tuple[bytes | None, int]:
    """An object, if it is of the kind that is wanted, and where the next one begins."""
    kind = body[position]
    if kind in (_STRING, _BYTES):
        _, size = _object(body, position)
        end = position + 5 + size
        if not 0 <= size <= len(body) - position - 5:
            raise ValueError("an object that is cut")
        return (body[position + 5 : end] if kind == wanted else None), end
    if kind not in _sizes:
        raise ValueError(f"an object of kind {kind}, which other software has written")
    return None, position + 1 + _sizes[kind]


def _name(text: bytes | None) -> bytes | None:
    """The wire key that an Ignite string stands for (frames.key)."""
    if text is None or text.isascii():
        return text
    try:
        return text.decode().encode("latin-1")
    except UnicodeError:
        return None
