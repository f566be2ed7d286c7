"""What is wrong with a Redis node, or will be, by its own words; and one item's way there and back. Pure."""

import re
from collections.abc import Iterator

from ..checks import connections, evictions, memory
from ..inspection import Check, NodeReply, RoundTrip
from .greeting import OLDEST, OLDEST_VALKEY
from .resp import command


def round_trip(key: bytes) -> RoundTrip:
    """Of an item under this wire key."""
    asks = (
        command(b"SET", key, b"hi", b"PX", b"60000"),
        command(b"GET", key),
        command(b"DEL", key),
        command(b"GET", key),
    )
    return RoundTrip(b"".join(asks), b"+OK\r\n$2\r\nhi\r\n:1\r\n$-1\r\n")


def unsuitable(version: str) -> str:
    """Why a node of this version can't be used; empty if it can."""
    valkey = version.startswith("valkey ")
    found = re.match(r"(\d{1,4})\.(\d{1,4})", version.removeprefix("valkey "))
    oldest = OLDEST_VALKEY if valkey else OLDEST
    if found and (int(found[1]), int(found[2])) >= oldest:
        return ""
    return f"it runs version {version or '(unknown)'}; the oldest supported is {'.'.join(map(str, oldest))}"


def checks(reply: NodeReply) -> Iterator[Check]:
    """What a node's own words tell."""
    for check in (_version, _eviction, _memory, _persistence, _connections):
        yield from check(reply)


def _version(reply: NodeReply) -> Iterator[Check]:
    if complaint := unsuitable(reply.version):
        yield Check("version", "fail", complaint, "upgrade to Redis 6.2 or Valkey 7.2, or later")
    else:
        yield Check("version", "ok", reply.version)


def _eviction(reply: NodeReply) -> Iterator[Check]:
    if reply.statistics.get("maxmemory_policy") == "noeviction":
        fix = "set maxmemory-policy to allkeys-lru: otherwise sets fail once it is full"
        yield Check("evictions", "warn", "it evicts nothing (noeviction)", fix)
    else:
        yield from evictions(reply, "give it more memory (maxmemory), or add a node, if the hit ratio suffers")


def _memory(reply: NodeReply) -> Iterator[Check]:
    yield from memory(reply)
    if reply.used_bytes is not None and not reply.limit_bytes:
        yield Check("memory", "warn", "it takes as much as there is", "set maxmemory")


def _persistence(reply: NodeReply) -> Iterator[Check]:
    if reply.statistics.get("role") == "slave":
        yield Check("role", "fail", "it is a replica, which takes no writes", "name its master instead")
    saved = reply.statistics.get("aof_enabled") == "1" or (reply.number("rdb_saves") or 0) > 0
    if saved:
        fix = "start it with --save '' --appendonly no: a cache is filled again, and must not return with the past"
        yield Check("persistence", "warn", "it keeps its data on disk", fix)


def _connections(reply: NodeReply) -> Iterator[Check]:
    limit, refused = reply.number("maxclients"), reply.number("rejected_connections")
    yield from connections(reply, limit, refused, "set a higher maxclients")
