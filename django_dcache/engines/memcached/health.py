"""What is wrong with a memcached node, or will be, by its own words; and one item's way there and back. Pure."""

from collections.abc import Iterator
from typing import Literal

from ..inspection import Check, NodeReply
from .introspection import OLDEST, version_numbers

FULL_RATIO = 0.95
"""The part of its memory in use from which on a node counts as full."""
BUSY_CONNECTIONS_RATIO = 0.9
"""The part of a node's connections in use from which on a check warns."""


class RoundTrip:
    """Stores, reads and deletes a small item of this wire key."""

    RIGHT = b"HD\r\nVA 2\r\nhi\r\nHD\r\nEN\r\n"

    def __init__(self, key: bytes):
        self.request = b"ms %b 2 T60\r\nhi\r\nmg %b v\r\nmd %b\r\nmg %b v\r\n" % (key, key, key, key)
        self._answer = b""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once there are as many as there should be."""
        self._answer += chunk
        return len(self._answer) >= len(self.RIGHT)

    @property
    def complaint(self) -> str:
        """What is wrong with the answer; empty if nothing is."""
        return "" if self._answer == self.RIGHT else repr(self._answer[:100])


def checks(reply: NodeReply) -> Iterator[Check]:
    """What a node's own words tell."""
    for check in (_version, _udp, _listing, _tokens, _eviction, _memory, _connections):
        yield from check(reply)


def _version(reply: NodeReply) -> Iterator[Check]:
    numbers = version_numbers(reply.version)
    if numbers is None:
        yield Check("version", "warn", f"{reply.version!r} is not a known version of memcached")
    elif numbers < OLDEST:
        yield Check("version", "fail", reply.version, "upgrade to memcached 1.6.18 or later")
    else:
        yield Check("version", "ok", reply.version)


def _udp(reply: NodeReply) -> Iterator[Check]:
    port = reply.number("udpport")
    if port:
        fix = "start it with -U 0: an open UDP port lets strangers use it to flood others"
        yield Check("UDP off", "fail", f"it listens on UDP port {port}", fix)
    elif port == 0:
        yield Check("UDP off", "ok", "off")


def _listing(reply: NodeReply) -> Iterator[Check]:
    if reply.settings.get("dump_enabled") == "no":
        fix = "start it without -X: its keys move only when they are read"
        yield Check("lists keys", "warn", "listing keys is disabled (-X)", fix)
    elif reply.settings.get("lru_crawler") == "no":
        yield Check("lists keys", "warn", "the LRU crawler is off", "start it without no_lru_crawler")
    elif "lru_crawler" in reply.settings:
        yield Check("lists keys", "ok", "yes")


def _tokens(reply: NodeReply) -> Iterator[Check]:
    if reply.settings.get("cas_enabled") == "no":
        yield Check("CAS", "fail", "disabled (-C)", "start it without -C: leases and the fleet's state need CAS")
    elif "cas_enabled" in reply.settings:
        yield Check("CAS", "ok", "enabled")


def _eviction(reply: NodeReply) -> Iterator[Check]:
    evicted = reply.evictions
    if reply.settings.get("evictions") == "off":
        fix = "start it without -M: sets fail once it is full"
        yield Check("evictions", "warn", "eviction is disabled", fix)
    elif evicted:
        fix = "give it more memory (-m), or add a node, if the hit ratio suffers"
        yield Check("evictions", "warn", f"{evicted:,} items evicted since it started", fix)
    elif evicted == 0:
        yield Check("evictions", "ok", "none")


def _memory(reply: NodeReply) -> Iterator[Check]:
    used, limit = reply.used_bytes, reply.limit_bytes
    if used is not None and limit:
        verdict: Literal["ok", "warn"] = "warn" if used / limit > FULL_RATIO else "ok"
        yield Check("memory", verdict, f"{used / limit:.0%} of {limit // 2**20:,} MiB used")


def _connections(reply: NodeReply) -> Iterator[Check]:
    now, limit, refused = reply.connections, reply.number("maxconns"), reply.number("listen_disabled_num")
    if now is None or not limit:
        return
    if now > BUSY_CONNECTIONS_RATIO * limit or refused:
        detail = f"{now} of {limit} in use" + (f"; had none left {refused} times" if refused else "")
        yield Check("connections", "warn", detail, "start it with a higher -c")
    else:
        yield Check("connections", "ok", f"{now} of {limit}")
