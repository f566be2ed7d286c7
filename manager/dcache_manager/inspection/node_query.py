"""Asking nodes about themselves: all at once, under one deadline, and without changing anything."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django_dcache.engines.memcached.introspection import NodeReply, parse_report, report_complete, report_request
from django_dcache.errors import NodeFailure, NodeTimeout, ProtocolViolation
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

MAX_ANSWER_BYTES = 4 * 2**20
TAIL_BYTES = 500
"""How much of an answer's end is looked at to see whether it is complete."""
LAST_WORD_SECONDS = 0.1
"""A thread that ends at the deadline reports a moment later."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node's answers, and the failure that cut them short, if any."""

    node: Node
    reply: NodeReply
    failure: NodeFailure | None = None
    asked_at: float = 0.0
    """Unix time, in the middle of the dialogue."""
    seconds: float = 0.0
    """How long it took."""


def survey(
    nodes: Iterable[Node],
    keys: Sequence[bytes],
    limits: Limits,
    seconds: float,
    more: Callable[[NodeReport], Iterable[Node]] = lambda report: (),
) -> dict[str, NodeReport]:
    """The report of each node by its address, `seconds` from now at the latest. `keys`: documents to fetch as well.

    `more` sees each report as it comes and returns nodes to ask too, as far as they have not been.
    """
    deadline = time.monotonic() + seconds
    came: queue.SimpleQueue[NodeReport] = queue.SimpleQueue()
    asked: dict[str, Node] = {}
    reports: dict[str, NodeReport] = {}

    def ask_all(newcomers: Iterable[Node]) -> None:
        for node in newcomers:
            if node.address not in asked:
                asked[node.address] = node
                # A daemon: a name server that does not answer can't be interrupted, and must not be waited for.
                threading.Thread(
                    target=lambda node=node: came.put(ask(node, keys, limits, deadline)), daemon=True
                ).start()

    ask_all(nodes)
    while len(reports) < len(asked):
        try:
            report = came.get(timeout=max(0.0, deadline - time.monotonic()) + LAST_WORD_SECONDS)
        except queue.Empty:
            break
        reports[report.node.address] = report
        ask_all(more(report))
    for address, node in asked.items():
        reports.setdefault(address, NodeReport(node, NodeReply(), NodeTimeout(node=node.name)))
    return reports


def ask(node: Node, keys: Sequence[bytes], limits: Limits, deadline: float) -> NodeReport:
    """One node's report. `deadline` is monotonic. Never raises."""
    began, began_at = time.time(), time.monotonic()
    answer, failure = exchange(node, report_request(keys), report_complete, limits, deadline)
    reply = parse_report(answer, keys)
    if failure is None and reply.complaint:
        failure = ProtocolViolation(reply.complaint, node=node.name)
    took = time.monotonic() - began_at
    return NodeReport(node, reply, failure, began + took / 2, took)


def exchange(
    node: Node, request: bytes, complete: Callable[[bytes], bool], limits: Limits, deadline: float
) -> tuple[bytes, NodeFailure | None]:
    """What a node answers to `request` on a connection of its own, and what cut it short.

    `complete` sees the last TAIL_BYTES of the answer.
    """
    answer = bytearray()
    try:
        left = deadline - time.monotonic()
        connection = Connection.open(node, limits, max(0.001, left))
        try:
            unsent = memoryview(request)
            while not complete(bytes(answer[-TAIL_BYTES:])):
                if unsent:
                    unsent = unsent[connection.send(unsent) :]
                left = deadline - time.monotonic()
                if left <= 0 or not connection.poller.poll(left * 1000):
                    raise NodeTimeout(node=node.name)
                answer += connection.receive() or b""
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ProtocolViolation("an answer without an end", node=node.name)
        finally:
            connection.close()
    except NodeFailure as failure:
        return bytes(answer), failure
    return bytes(answer), None
