"""Removing what begins with a name: by looking at each item, where there are few.

A scan brings each value along, since Ignite has no filter that a client without Java could send.
"""

from collections.abc import Generator
from struct import Struct
from typing import Any

from ...commands import Answer, Refused, Reply
from ...errors import ProtocolViolation
from ...model.keys import RESERVED, parse_wire_key
from ...model.keys import plain as plain_name
from .frames import Failed, Operation, key, plain
from .scan import Page, first_page, next_page

FEW_ITEMS = 2000
"""A cache with up to this number of items is cleared in one step."""
_PAGE_ITEMS = 500
_count = Struct("<i").pack
_long = Struct("<q").unpack


def flush(cache: bytes, beginning: bytes) -> Generator[tuple[int, bytes], Any, Reply]:
    """Every item whose name begins so, in every generation, and chunks, which do not say whose they are."""
    heard = yield Operation.GET_SIZE, plain(cache) + _count(0)
    if isinstance(heard, Failed):
        return Refused(heard.words)
    if len(heard) != 8:
        raise ProtocolViolation(f"{heard[:20]!r} as a number of items")
    if _long(heard)[0] > FEW_ITEMS:
        return Refused("there is too much to be cleared in one step")
    doomed: list[bytes] = []
    heard = yield Operation.SCAN, first_page(cache, _PAGE_ITEMS)
    cursor = None
    while True:
        if isinstance(heard, Failed):
            return Refused(heard.words)
        page = Page.read(heard, cursor)
        cursor = page.cursor
        doomed += [wire for wire, _ in page.items if _is_ours(wire, beginning)]
        if not page.more:
            break
        heard = yield Operation.NEXT_PAGE, next_page(cursor)
    if doomed:
        keys = b"".join([key(wire) for wire in doomed])
        heard = yield Operation.REMOVE_KEYS, plain(cache) + _count(len(doomed)) + keys
        if isinstance(heard, Failed):
            return Refused(heard.words)
    return Answer.DONE


def _is_ours(wire: bytes, beginning: bytes) -> bool:
    parsed = parse_wire_key(wire)
    if parsed is None or parsed[0].startswith(RESERVED):
        return False
    return plain_name(parsed[0]).startswith((beginning, b"\xff#"))
