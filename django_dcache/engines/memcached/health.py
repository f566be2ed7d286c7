"""What is wrong with a memcached node, or will be, by its own words; and one item's way there and back. Pure."""

from collections.abc import Iterator

from ..checks import connections, evictions, memory
from ..inspection import Check, NodeReply, RoundTrip
from .introspection import OLDEST, version_numbers


def round_trip(key: bytes) -> RoundTrip:
    """Of an item under this wire key."""
    request = b"ms %b 2 T60\r\nhi\r\nmg %b v\r\nmd %b\r\nmg %b v\r\n" % (key, key, key, key)
    return RoundTrip(request, b"HD\r\nVA 2\r\nhi\r\nHD\r\nEN\r\n")


def checks(reply: NodeReply) -> Iterator[Check]:
    """What a node's own words tell."""
    for check in (_version, _udp, _listing, _tokens, _eviction, memory, _connections):
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
    if reply.settings.get("evictions") == "off":
        fix = "start it without -M: sets fail once it is full"
        yield Check("evictions", "warn", "eviction is disabled", fix)
    else:
        yield from evictions(reply, "give it more memory (-m), or add a node, if the hit ratio suffers")


def _connections(reply: NodeReply) -> Iterator[Check]:
    limit, refused = reply.number("maxconns"), reply.number("listen_disabled_num")
    yield from connections(reply, limit, refused, "start it with a higher -c")
