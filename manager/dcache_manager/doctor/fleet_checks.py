"""What is wrong with a fleet, or will be: one finding per check and node, with what to do about it.

A check is a function of a look at the fleet; only the round trip talks to the nodes once more.
"""

import secrets
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from django_dcache.engines import engine_of, introspection_of
from django_dcache.engines.inspection import NodeReply
from django_dcache.errors import DCacheError, NodeFailure, NodeUnreachable
from django_dcache.model.keys import RESERVED
from django_dcache.model.state import MAX_PREFIXES, FleetState
from django_dcache.model.topology import Node
from django_dcache.transport.limits import Limits
from django_dcache.values.chunks import LEAST_BYTES

from ..adoption.service import apart
from ..inspection.fleet_report import FleetReport, limits
from ..inspection.next_steps import missing
from ..inspection.node_query import exchange
from ..inspection.target import Target
from ..rebalance import service
from . import one_server, security_checks
from .finding import Finding, Verdict

ITEM_BYTES = 500
"""What an item has beside its value, and a little more: its key, its header, its time."""
MAX_SKEW_SECONDS = 2.0
"""By which a node's clock may differ from ours: it tells whole seconds only."""
MANY_PREFIXES_RATIO = 0.8
"""The part of the prefix generations in use from which on it is warned of."""
MAX_THREADS = 64


def examine(target: Target, seen: FleetReport, seconds: float) -> list[Finding]:
    """All findings, those about the whole fleet last. Takes at most `seconds`."""
    findings = []
    serving = [node for node in seen.topology.nodes.values() if not node.out]
    trips = dict(zip((node.name for node in serving), _round_trips(target, serving, seconds), strict=True))
    for node in serving:
        report = seen.of(node)
        if report.failure:
            verdict: Verdict = "warn" if report.reply.answered else "fail"
            findings.append(Finding("connects", node.name, verdict, _why(report.failure), missing(seen, node)))
            continue
        findings.append(Finding("connects", node.name, "ok", f"{report.seconds * 1000:.1f} ms"))
        findings += trips[node.name]
        findings += [
            Finding(check.name, node.name, check.verdict, check.detail, check.fix)
            for check in introspection_of(node).checks(report.reply)
        ]
        findings.append(check_clock(node.name, report.reply, report.asked_at))
    for check in (_item_sizes, _keepers, _size_of_fleet, _moving, _prefixes):
        findings += check(seen)
    findings += security_checks.findings(seen)
    findings += _adoption(target, seen)
    findings += check_location(target, seen)
    return findings


# Of one node


def _why(failure: NodeFailure) -> str:
    """In few words, and with what the system said where these are general."""
    general = failure.cause in (NodeFailure.cause, NodeUnreachable.cause) and failure.detail
    return f"{failure.cause}: {failure.detail}" if general else failure.cause


def _round_trips(target: Target, nodes: list[Node], seconds: float) -> list[list[Finding]]:
    how, deadline = limits(target.configuration), time.monotonic() + seconds
    key = RESERVED + target.name.encode() + b":doctor:" + secrets.token_hex(4).encode()
    with ThreadPoolExecutor(max(1, min(MAX_THREADS, len(nodes)))) as pool:
        return list(pool.map(lambda node: _talk(node, key, how, deadline), nodes))


def _talk(node: Node, key: bytes, how: Limits, deadline: float) -> list[Finding]:
    trip = _round_trip(node, key, how, deadline)
    return [trip, one_server.check(node, key + b":1", how, deadline)] if trip.verdict == "ok" else [trip]


def _round_trip(node: Node, key: bytes, how: Limits, deadline: float) -> Finding:
    engine = engine_of(node)
    question = introspection_of(node).round_trip(key)
    began = time.monotonic()
    failure = exchange(node, question, how, deadline)
    if failure is None and not question.complaint:
        took = time.monotonic() - began
        return Finding("round trip", node.name, "ok", f"set, get and delete in {took * 1000:.1f} ms")
    detail = str(failure) if failure else question.complaint
    return Finding("round trip", node.name, "fail", detail, f"it must be {engine.name} that takes writes")


def check_clock(name: str, reply: NodeReply, asked_at: float) -> Finding:
    """Whether a node's clock agrees with ours. `asked_at`: Unix time by ours."""
    if reply.clock is None:
        return Finding("clock", name, "warn", "it does not tell the time")
    # A node cuts the fraction off its seconds: 0.5 is the best guess of it.
    off = reply.clock + 0.5 - asked_at
    if abs(off) <= MAX_SKEW_SECONDS:
        return Finding("clock", name, "ok", "within 2 s of ours")
    fix = "run NTP there and here: timeouts above 30 days are sent as points in time"
    return Finding("clock", name, "warn", f"{off:+.0f} s from ours", fix)


# Of the fleet


def _item_sizes(seen: FleetReport) -> list[Finding]:
    sizes = {
        node.name: size
        for node in seen.topology.nodes.values()
        if (size := seen.of(node).reply.max_item_bytes) is not None
    }
    return [*check_item_sizes(sizes, seen.configuration.options.chunk_bytes)]


def check_item_sizes(sizes: dict[str, int], chunk_bytes: int) -> Iterator[Finding]:
    """Whether what fits on one node fits on all. `sizes`: the most bytes of an item, by node."""
    if sizes and min(sizes.values()) < chunk_bytes + ITEM_BYTES:
        name = min(sizes, key=sizes.__getitem__)
        fix = f"start it with a larger -I, or write 'chunk_bytes': {max(LEAST_BYTES, sizes[name] - ITEM_BYTES)}"
        detail = f"{name} takes {sizes[name]:,} bytes at most, so it refuses each chunk of {chunk_bytes:,} bytes"
        yield Finding("item size", None, "warn", detail, fix)
    elif len(set(sizes.values())) > 1:
        detail = ", ".join(f"{name} {size:,} bytes" for name, size in sizes.items())
        yield Finding(
            "item size", None, "warn", detail, "start all nodes with the same -I: a value must fit wherever it moves"
        )
    elif sizes:
        yield Finding("item size", None, "ok", f"{min(sizes.values()):,} bytes everywhere")


def _keepers(seen: FleetReport) -> Iterator[Finding]:
    if seen.refused and not seen.planted:
        yield Finding("keepers", None, "fail", "no keeper holds a state that is believed", "see *state*")
        return
    if not seen.planted:
        yield Finding(
            "keepers", None, "warn", "no node knows this fleet", "normal before the first request; else check -c"
        )
        return
    held = {name: seen.states.get(name) for names in seen.topology.keepers for name in names}
    behind = sorted(name for name, state in held.items() if not _same(state, held.values()))
    silent = [name for name in behind if seen.of(seen.topology.nodes[name]).failure]
    differ = [name for name in behind if name not in silent]
    if not seen.proven:
        detail = f"too few hold epoch {seen.topology.epoch}; behind or silent: {', '.join(behind)}"
        yield Finding(
            "keepers", None, "fail", detail, "bring them back: until then no change of the fleet can be agreed on"
        )
    elif differ:
        detail = f"{', '.join(differ)} hold another state than the other keepers"
        yield Finding("keepers", None, "warn", detail, "the next request that proves the state repairs it")
    else:
        same = ", ".join(name for name in held if name not in silent)
        yield Finding("keepers", None, "ok", f"{same} hold the same state, epoch {seen.topology.epoch}")


def _same(state: FleetState | None, others: Iterable[FleetState | None]) -> bool:
    return state is not None and all(state.merge(other) == state for other in others if other)


def _size_of_fleet(seen: FleetReport) -> Iterator[Finding]:
    nodes = len(seen.serving.nodes)
    if nodes < 3:
        detail = f"with {nodes} the freshness bound covers dead, hung and flapping nodes, not a network split"
        yield Finding("three nodes", None, "warn", detail, "run three nodes or more")
    else:
        yield Finding("three nodes", None, "ok", str(nodes))


def _moving(seen: FleetReport) -> Iterator[Finding]:
    if seen.topology.target and not seen.conductor:
        detail = f"interrupted in phase {seen.topology.phase}"
        yield Finding("resize", None, "warn", detail, "`rebalance resume` finishes it, `rebalance cancel` goes back")


def _prefixes(seen: FleetReport) -> Iterator[Finding]:
    known = {prefix for state in seen.states.values() for prefix in state.prefixes}
    if len(known) > MANY_PREFIXES_RATIO * MAX_PREFIXES:
        detail = f"generations of {len(known)} made prefixes are kept, of {MAX_PREFIXES} at most"
        yield Finding("prefixes", None, "warn", detail, "bump fewer versions, or fewer prefixes: others are swept")


def _adoption(target: Target, seen: FleetReport) -> Iterator[Finding]:
    options = target.configuration.options
    for state in list(seen.states.values())[:1] if options.coexist else ():
        if apart(state, options):
            detail = f"this fleet was there before: processes of {options.coexist} find none of its keys"
            yield Finding("adoption", None, "fail", detail, "set OPTIONS['fleet'] to a name that was never used here")
        elif not state.adopted:
            detail = f"processes of {options.coexist} may use the nodes: no leases, no replicas, no healing"
            yield Finding("adoption", None, "warn", detail, "`adopt finish` once the last of them is gone")


def check_location(target: Target, seen: FleetReport) -> Iterator[Finding]:
    """Whether the fleet is what LOCATION says, and whether nodes that LOCATION adds answer."""
    if target.wanted is None:
        return
    try:
        changes = service.plan(target, seen=seen).changes if seen.planted else []
    except DCacheError as error:
        yield Finding("LOCATION", None, "fail", str(error), "correct LOCATION")
        return
    if changes:
        detail = "; ".join(changes)
        running, wanted = seen.topology.nodes, {node.name: node.address for node in target.wanted.nodes}
        # Those that joined or moved since by hand, or as a source said: the fleet is right, and LOCATION is old.
        removes = any(wanted.get(name) != node.address for name, node in running.items())
        fix = "`rebalance` makes the fleet what LOCATION says"
        yield Finding("LOCATION", None, "warn", detail, f"write these nodes into LOCATION; {fix}" if removes else fix)
    else:
        yield Finding("LOCATION", None, "ok", "the fleet is what it says")
    for node in target.wanted.nodes:
        report = seen.reports.get(node.address)
        if node.name not in seen.topology.nodes and report and report.failure:
            yield Finding("LOCATION", node.name, "fail", f"to be added, but: {report.failure}", "start it first")
