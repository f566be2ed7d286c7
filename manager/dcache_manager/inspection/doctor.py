"""What is wrong with a fleet, or will be: one finding per check and node, with what to do about it.

A check is a function of a look at the fleet; only the round trip talks to the nodes once more.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from django_dcache.model.keys import RESERVED
from django_dcache.model.state import MAX_PREFIXES, FleetState
from django_dcache.model.topology import Node
from django_dcache.transport.pool import Limits

from .fleet_report import Sighting
from .node_query import Words, exchange
from .target import Target

OLDEST = (1, 6, 18)
SKEW = 2.0
"""Seconds that a node's clock may differ from ours: it tells whole seconds only."""
FULL = 0.95
FEW_CONNECTIONS = 0.9
"""The part of a node's connections in use from which on it is warned of."""


MANY_PREFIXES = 0.8
"""The part of the prefix generations in use from which on it is warned of."""


class Finding(NamedTuple):
    check: str
    node: str | None
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def examine(target: Target, sighting: Sighting, seconds: float) -> list[Finding]:
    """All findings, those about the whole fleet last. Takes at most `seconds`."""
    findings = []
    serving = [node for node in sighting.topology.nodes.values() if not node.out]
    trips = dict(zip((node.name for node in serving), _round_trips(target, serving, seconds), strict=True))
    for node in serving:
        report = sighting.report(node)
        if report.failure:
            verdict: Literal["warn", "fail"] = "warn" if report.answered else "fail"
            findings.append(
                Finding("connects", node.name, verdict, str(report.failure), "start it, or `node remove` it")
            )
            continue
        findings.append(Finding("connects", node.name, "ok", f"{report.seconds * 1000:.1f} ms"))
        findings.append(trips[node.name])
        findings += [found._replace(node=node.name) for check in _of_a_node for found in check(report.words)]
        findings.append(_clock(node.name, report.words, report.asked_at))
    for check in (_item_sizes, _keepers, _size_of_fleet, _moving, _prefixes):
        findings += check(sighting)
    findings += _location(target, sighting)
    return findings


# Of one node


def _round_trips(target: Target, nodes: list[Node], seconds: float) -> list[Finding]:
    options = target.configuration.options
    limits = Limits(options.timeout, options.connect_timeout, tls=options.tls, address_remap=options.address_remap)
    deadline = time.monotonic() + seconds
    key = RESERVED + target.configuration.fleet.encode() + b":doctor:" + secrets.token_hex(4).encode()
    with ThreadPoolExecutor(max(1, min(64, len(nodes)))) as pool:
        return list(pool.map(lambda node: _round_trip(node, key, limits, deadline), nodes))


def _round_trip(node: Node, key: bytes, limits: Limits, deadline: float) -> Finding:
    request = b"ms %b 2 T60\r\nhi\r\nmg %b v\r\nmd %b\r\nmg %b v\r\n" % (key, key, key, key)
    wanted = b"HD\r\nVA 2\r\nhi\r\nHD\r\nEN\r\n"
    began = time.monotonic()
    answer, failure = exchange(node, request, lambda tail: len(tail) >= len(wanted), limits, deadline)
    if answer == wanted:
        return Finding(
            "round trip", node.name, "ok", f"set, get and delete in {(time.monotonic() - began) * 1000:.1f} ms"
        )
    detail = str(failure) if failure else repr(answer[:100])
    return Finding("round trip", node.name, "fail", detail, "it must speak memcached's meta commands and take writes")


def _clock(name: str, words: Words, asked_at: float) -> Finding:
    theirs = words.number("time")
    if theirs is None:
        return Finding("clock", name, "warn", "it does not tell the time")
    # A node cuts the fraction off its seconds: 0.5 is the best guess of it.
    off = theirs + 0.5 - asked_at
    if abs(off) <= SKEW:
        return Finding("clock", name, "ok", "within 2 s of ours")
    fix = "run NTP there and here: timeouts above 30 days are sent as points in time"
    return Finding("clock", name, "warn", f"{off:+.0f} s from ours", fix)


def _version(words: Words) -> Iterator[Finding]:
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", words.version)
    if not numbers:
        yield Finding("version", None, "warn", f"{words.version!r} is no memcached that we know")
    elif tuple(map(int, numbers.groups())) < OLDEST:
        yield Finding("version", None, "fail", words.version, "upgrade to memcached 1.6.18 or later")
    else:
        yield Finding("version", None, "ok", words.version)


def _udp(words: Words) -> Iterator[Finding]:
    port = words.number("udpport")
    if port:
        fix = "start it with -U 0: UDP lets strangers use it to flood others"
        yield Finding("UDP off", None, "fail", f"it listens on UDP port {port}", fix)
    elif port == 0:
        yield Finding("UDP off", None, "ok", "off")


def _crawler(words: Words) -> Iterator[Finding]:
    if words.settings.get("dump_enabled") == "no":
        fix = "start it without -X: its keys move only when they are read"
        yield Finding("lists keys", None, "warn", "listing keys is disabled (-X)", fix)
    elif words.settings.get("lru_crawler") == "no":
        yield Finding("lists keys", None, "warn", "the LRU crawler is off", "start it without no_lru_crawler")
    elif "lru_crawler" in words.settings:
        yield Finding("lists keys", None, "ok", "yes")


def _tokens(words: Words) -> Iterator[Finding]:
    if words.settings.get("cas_enabled") == "no":
        yield Finding(
            "CAS", None, "fail", "disabled (-C)", "start it without -C: leases and the fleet's state need CAS"
        )
    elif "cas_enabled" in words.settings:
        yield Finding("CAS", None, "ok", "enabled")


def _evictions(words: Words) -> Iterator[Finding]:
    evicted, used, limit = (words.number(name) for name in ("evictions", "bytes", "limit_maxbytes"))
    if words.settings.get("evictions") == "off":
        fix = "start it without -M: sets fail once it is full"
        yield Finding("evictions", None, "warn", "eviction is disabled", fix)
    elif evicted:
        fix = "give it more memory (-m), or add a node, if the hit ratio suffers"
        yield Finding("evictions", None, "warn", f"{evicted:,} items evicted since it started", fix)
    elif evicted == 0:
        yield Finding("evictions", None, "ok", "none")
    if used is not None and limit:
        verdict: Literal["ok", "warn"] = "warn" if used / limit > FULL else "ok"
        yield Finding("memory", None, verdict, f"{used / limit:.0%} of {limit // 2**20:,} MiB used")


def _connections(words: Words) -> Iterator[Finding]:
    now, limit, refused = (words.number(name) for name in ("curr_connections", "maxconns", "listen_disabled_num"))
    if now is None or not limit:
        return
    if now > FEW_CONNECTIONS * limit or refused:
        detail = f"{now} of {limit} in use" + (f"; had none left {refused} times" if refused else "")
        yield Finding("connections", None, "warn", detail, "start it with a higher -c")
    else:
        yield Finding("connections", None, "ok", f"{now} of {limit}")


_of_a_node: tuple[Callable[[Words], Iterator[Finding]], ...] = (
    _version,
    _udp,
    _crawler,
    _tokens,
    _evictions,
    _connections,
)


# Of the fleet


def _item_sizes(sighting: Sighting) -> Iterator[Finding]:
    sizes = {
        node.name: size
        for node in sighting.topology.nodes.values()
        if (size := sighting.report(node).words.number("item_size_max")) is not None
    }
    if len(set(sizes.values())) > 1:
        detail = ", ".join(f"{name} {size:,} bytes" for name, size in sizes.items())
        yield Finding(
            "item size", None, "warn", detail, "start all nodes with the same -I: a value must fit wherever it moves"
        )
    elif sizes:
        yield Finding("item size", None, "ok", f"{min(sizes.values()):,} bytes everywhere")


def _keepers(sighting: Sighting) -> Iterator[Finding]:
    if not sighting.planted:
        yield Finding(
            "keepers", None, "warn", "no node knows this fleet", "normal before the first request; else check -c"
        )
        return
    held = {name: sighting.states.get(name) for names in sighting.topology.keepers for name in names}
    behind = sorted(name for name, state in held.items() if not _same(state, held.values()))
    if not sighting.proven:
        detail = f"too few hold epoch {sighting.topology.epoch}; behind or silent: {', '.join(behind)}"
        yield Finding(
            "keepers", None, "fail", detail, "bring them back: until then no change of the fleet can be agreed on"
        )
    elif behind:
        detail = f"{', '.join(behind)} hold another state than the others"
        yield Finding("keepers", None, "warn", detail, "the next request that proves the state mends it")
    else:
        yield Finding("keepers", None, "ok", f"{', '.join(held)} hold the same state, epoch {sighting.topology.epoch}")


def _same(state: FleetState | None, others: object) -> bool:
    found = [other for other in others if other]  # type: ignore[attr-defined]
    return state is not None and all(state.merge(other) == state for other in found)


def _size_of_fleet(sighting: Sighting) -> Iterator[Finding]:
    nodes = len(sighting.truth.nodes)
    if nodes < 3:
        detail = f"with {nodes} the freshness bound covers dead, hung and flapping nodes, not a network split"
        yield Finding("three nodes", None, "warn", detail, "run three nodes or more")
    else:
        yield Finding("three nodes", None, "ok", str(nodes))


def _moving(sighting: Sighting) -> Iterator[Finding]:
    if sighting.topology.target and not sighting.conductor:
        detail = f"interrupted in phase {sighting.topology.phase}"
        yield Finding("resize", None, "warn", detail, "`rebalance run` goes on, `rebalance cancel` goes back")


def _prefixes(sighting: Sighting) -> Iterator[Finding]:
    known = {prefix for state in sighting.states.values() for prefix in state.prefixes}
    if len(known) > MANY_PREFIXES * MAX_PREFIXES:
        detail = f"generations of {len(known)} made prefixes are kept, of {MAX_PREFIXES} at most"
        yield Finding("prefixes", None, "warn", detail, "bump fewer versions, or fewer prefixes: others are swept")


def _location(target: Target, sighting: Sighting) -> Iterator[Finding]:
    from ..rebalance.layout_change import Edits, planned

    if target.wanted is None:
        return
    made = planned(target, sighting.topology, Edits(), lambda text: None)
    if sighting.planted and made.changes:
        detail = "; ".join(made.changes)
        yield Finding("LOCATION", None, "warn", detail, "`rebalance` makes the fleet what LOCATION says")
    else:
        yield Finding("LOCATION", None, "ok", "the fleet is what it says")
    running = sighting.topology.nodes
    for node in target.wanted.nodes:
        report = sighting.reports.get(node.address)
        if node.name not in running and report and report.failure:
            yield Finding("LOCATION", node.name, "fail", f"to be added, but: {report.failure}", "start it first")
