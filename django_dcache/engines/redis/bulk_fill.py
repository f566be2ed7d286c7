"""The bytes of a bulk fill (`engines.inspection.BulkFill`). Each script answers with a line that names its command."""

import re

from ..inspection import BulkItem, LeaseReply, StoreReply
from ..lifetime import milliseconds
from .items import new_stub, pack, token, token_digits
from .protocol import LATE_MILLISECONDS
from .resp import command
from .scripts import SAME

_LEASE = b"""local v=redis.call('GET',KEYS[1])
if not v then
local r=redis.pcall('SET',KEYS[1],ARGV[1],'PX',ARGV[2])
if r.err then return {ok='L 0 O'..ARGV[4]..' Z'} end
return {ok='L '..ARGV[3]..' O'..ARGV[4]..' W'}
end
return {ok='L 0 O'..ARGV[4]..(#v==17 and string.byte(v)==221 and ' Z' or '')}"""
"""A server that is full has no lease to give: as if another client held it."""
_STORE = (
    b"local function same()\n%bend\nlocal s=same()\nif s then return {ok='S O'..ARGV[2]..' '..s} end\n"
    b"if ARGV[4]=='0' then redis.call('SET',KEYS[1],ARGV[3]) else redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[4]) end\n"
    b"return {ok='S O'..ARGV[2]..' 2'}" % SAME
)
_GIVE_BACK = (
    b"local function same()\n%bend\nlocal s=same()\nif s then return {ok='S O'..ARGV[2]..' '..s} end\n"
    b"redis.call('DEL',KEYS[1])\nreturn {ok='S O'..ARGV[2]..' 2'}" % SAME
)
_lease = re.compile(rb"^\+L ([0-9a-f]{1,16}) O(\d{1,10})( W)?( Z)?\r$", re.MULTILINE)
_stored = re.compile(rb"\+S O(\d{1,10}) ([012])").fullmatch


def seconds_to_ttl(seconds: float | None, now: float) -> int:
    """Milliseconds; 0: for ever."""
    return milliseconds(seconds, LATE_MILLISECONDS) or 0


def ask_lease(key: bytes, seconds: int, opaque: int) -> bytes:
    """A lease on a wire key, which is had only where nothing is stored and no other client holds one."""
    stub = new_stub()
    right = token_digits(token(stub))
    return command(b"EVAL", _LEASE, b"1", key, stub, b"%d" % (seconds * 1000), right, b"%d" % opaque)


def store(key: bytes, item: BulkItem, token: bytes, opaque: int) -> bytes:
    """`item` under a lease that is held."""
    _, flags, ttl, data = item
    return command(b"EVAL", _STORE, b"1", key, token, b"%d" % opaque, pack(flags, data), b"%d" % ttl)


def give_back(key: bytes, token: bytes, opaque: int) -> bytes:
    """A lease that is held and not needed."""
    return command(b"EVAL", _GIVE_BACK, b"1", key, token, b"%d" % opaque)


def lease_replies(heard: bytes) -> list[LeaseReply]:
    """The replies to `ask_lease` among these lines."""
    return _lease.findall(heard)


def first_odd_line(heard: bytes) -> bytes:
    """The first line that is no reply to `ask_lease`."""
    return next((line[:80] for line in heard.split(b"\r\n") if not _lease.match(line + b"\r")), b"")


def store_reply(line: bytes, opaque: int) -> StoreReply:
    """What a line without its end says to `store` or `give_back` with this opaque number."""
    if line.startswith(b"-"):
        return "refused"
    match = _stored(line)
    if match is None or int(match[1]) != opaque:
        return ""
    return "stored" if match[2] == b"2" else "void"
