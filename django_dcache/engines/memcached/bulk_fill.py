"""The bytes of a bulk fill (`engines.inspection.BulkFill`)."""

import re

from ..inspection import BulkItem, LeaseReply, StoreReply
from .protocol import exptime

_lease = re.compile(rb"^HD c(\d{1,20}) O(\d{1,10})( W)?( Z)?\r$", re.MULTILINE)

seconds_to_ttl = exptime


def ask_lease(key: bytes, seconds: int, opaque: int) -> bytes:
    """A lease on a wire key, which is had only where nothing is stored and no other client holds one."""
    return b"mg %b c N%d O%d\r\n" % (key, seconds, opaque)


def store(key: bytes, item: BulkItem, token: bytes, opaque: int) -> bytes:
    """`item` under a lease that is held."""
    _, flags, ttl, data = item
    return b"ms %b %d F%d T%d C%b O%d\r\n%b\r\n" % (key, len(data), flags, ttl, token, opaque, data)


def give_back(key: bytes, token: bytes, opaque: int) -> bytes:
    """A lease that is held and not needed."""
    return b"md %b C%b O%d\r\n" % (key, token, opaque)


def lease_replies(heard: bytes) -> list[LeaseReply]:
    """The replies to `ask_lease` among these lines."""
    return _lease.findall(heard)


def first_odd_line(heard: bytes) -> bytes:
    """The first line that is no reply to `ask_lease`."""
    return next((line[:80] for line in heard.split(b"\r\n") if not _lease.match(line + b"\r")), b"")


def store_reply(line: bytes, opaque: int) -> StoreReply:
    """What a line without its end says to `store` or `give_back` with this opaque number."""
    word, _, number = line.partition(b" O")
    if word.startswith(b"SERVER_ERROR"):
        return "refused"
    if number != b"%d" % opaque:
        return ""
    if word == b"HD":
        return "stored"
    return "void" if word in (b"EX", b"NF", b"NS") else ""
