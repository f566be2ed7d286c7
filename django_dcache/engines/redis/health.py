"""What is wrong with a Redis node, or will be, by its own words; and one item's way there and back. Pure."""

import re
from collections.abc import Iterator
from typing import Literal

from ..inspection import Check, NodeReply
from .greeting import OLDEST, OLDEST_VALKEY
from .resp import command

FULL_RATIO = 0.95
"""The part of its memory in use from which on a node counts as full."""
BUSY_CONNECTIONS_RATIO = 0.9
"""The part of a node's connections in use from which on a check warns."""


class RoundTrip:
    """Stores, reads and deletes a small item of this wire key."""

    RIGHT = b"+OK\r\n$2\r\nhi\r\n:1\r\n$-1\r\n"

    def __init__(self, key: bytes):
        asks = (command(b"SET", key, b"hi", b"PX", b"60000"), command(b"GET", key), command(b"DEL", key))
        self.request = b"".join((*asks, command(b"GET", key)))
        self._answer = b""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once there are as many as there should be."""
        self._answer += chunk
        return len(self._answer) >= len(self.RIGHT)

    @property
    def complaint(self) -> str:
        """What is wrong with the answer; empty if nothing is."""
        return "" if self._answer == self.RIGHT else repr(self._answer[:100])


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
    policy, evicted = reply.statistics.get("maxmemory_policy"), reply.evictions
    if policy == "noeviction":
        fix = "set maxmemory-policy to allkeys-lru: otherwise sets fail once it is full"
        yield Check("evictions", "warn", "it evicts nothing (noeviction)", fix)
    elif evicted:
        fix = "give it more memory (maxmemory), or add a node, if the hit ratio suffers"
        yield Check("evictions", "warn", f"{evicted:,} items evicted since it started", fix)
    elif evicted == 0:
        yield Check("evictions", "ok", "none")


def _memory(reply: NodeReply) -> Iterator[Check]:
    used, limit = reply.used_bytes, reply.limit_bytes
    if used is not None and limit:
        verdict: Literal["ok", "warn"] = "warn" if used / limit > FULL_RATIO else "ok"
        yield Check("memory", verdict, f"{used / limit:.0%} of {limit // 2**20:,} MiB used")
    elif used is not None:
        yield Check("memory", "warn", "it takes as much as there is", "set maxmemory")


def _persistence(reply: NodeReply) -> Iterator[Check]:
    if reply.statistics.get("role") == "slave":
        yield Check("role", "fail", "it is a replica, which takes no writes", "name its master instead")
    saved = reply.statistics.get("aof_enabled") == "1" or (reply.number("rdb_saves") or 0) > 0
    if saved:
        fix = "start it with --save '' --appendonly no: a cache is filled again, and must not return with the past"
        yield Check("persistence", "warn", "it keeps its data on disk", fix)


def _connections(reply: NodeReply) -> Iterator[Check]:
    now, limit, refused = reply.connections, reply.number("maxclients"), reply.number("rejected_connections")
    if now is None or not limit:
        return
    if now > BUSY_CONNECTIONS_RATIO * limit or refused:
        detail = f"{now} of {limit} in use" + (f"; had none left {refused} times" if refused else "")
        yield Check("connections", "warn", detail, "set a higher maxclients")
    else:
        yield Check("connections", "ok", f"{now} of {limit}")
