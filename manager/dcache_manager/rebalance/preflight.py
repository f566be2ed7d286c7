"""Looking at nodes before they join: a resize that can't work is refused while nothing has been changed."""

import time
from collections.abc import Iterable
from secrets import token_hex
from typing import NamedTuple

from django_dcache.engines import introspection_of
from django_dcache.errors import NodeFailure
from django_dcache.model.keys import RESERVED
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.transport.limits import Limits

from ..inspection.node_query import NodeReport, exchange, survey

LEAST_SECONDS = 1.0
"""For which a node is waited for, however short the timeout of the fleet is."""


class Unsuitable(NodeFailure):
    """This node can't join the fleet; nothing was changed."""


class Unanswered(NodeFailure):
    """It stays in the fleet and does not answer: bring it back, take it out or remove it first; nothing was changed."""


class Newcomer(NamedTuple):
    name: str
    version: str
    items: int
    """-1: it does not say."""


def newcomers(topology: Topology, desired: Layout) -> list[Node]:
    """The nodes that join on the way to `desired`."""
    known = {node.name: node.address for node in topology.layout.nodes if not node.out}
    return [node for node in desired.nodes if known.get(node.name) != node.address and not node.out]


def silent(nodes: Iterable[Node], limits: Limits) -> list[str]:
    """The names of those that do not answer."""
    return [report.node.name for report in _ask(nodes, limits) if report.failure]


def greet(nodes: Iterable[Node], limits: Limits) -> list[Newcomer]:
    """What each node is. Raises Unsuitable for the first that can't be used."""
    return [_newcomer(report) for report in _ask(nodes, limits)]


def try_out(nodes: Iterable[Node], limits: Limits) -> None:
    """Store, read and delete a small item on each. Raises Unsuitable for the first that takes none: it is full and may
    not evict, or something between lets reads pass only."""
    key = RESERVED + b"joins:" + token_hex(4).encode()
    for node in nodes:
        question = introspection_of(node).round_trip(key)
        failure = exchange(node, question, limits, time.monotonic() + max(LEAST_SECONDS, limits.timeout))
        if question.complaint:
            said = failure or question.complaint
            raise Unsuitable(f"it does not store an item and give it back: {said}", node=node.name)


def _ask(nodes: Iterable[Node], limits: Limits) -> list[NodeReport]:
    nodes = list(nodes)
    reports = survey(nodes, (), limits, max(LEAST_SECONDS, limits.timeout))
    return [reports[node.address] for node in nodes]


def _newcomer(report: NodeReport) -> Newcomer:
    name, version, items = report.node.name, report.reply.version, report.reply.items
    if report.failure:
        raise Unsuitable(str(report.failure), node=name) from report.failure
    if complaint := introspection_of(report.node).unsuitable(version):
        raise Unsuitable(complaint, node=name)
    return Newcomer(name, version, -1 if items is None else items)
