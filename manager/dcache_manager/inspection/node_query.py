"""Asking nodes about themselves: all at once, under one deadline, and without changing anything."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from django_dcache.engines import Question, introspection_of
from django_dcache.engines.inspection import NodeReply
from django_dcache.errors import NodeFailure, NodeTimeout, ProtocolViolation
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits

MAX_ANSWER_BYTES = 4 * 2**20
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


class Complaining(Protocol):
    """What was found of a node, as far as it came in time."""

    complaint: str


Finding = TypeVar("Finding", bound=Complaining)


def watch(
    nodes: Iterable[Node], seconds: float, begin: Callable[[], Finding], look: Callable[[Node, float, Finding], None]
) -> dict[str, Finding]:
    """What `look(node, deadline, finding)` has put into the finding of each node, by name, `seconds` from now at the
    latest; one that is late has only a complaint."""
    found: dict[str, Finding] = {}
    deadline = time.monotonic() + seconds
    threads: dict[str, threading.Thread] = {}
    for node in nodes:
        found[node.name] = begin()
        # Daemons, as in `survey`.
        threads[node.name] = threading.Thread(target=look, args=(node, deadline, found[node.name]), daemon=True)
        threads[node.name].start()
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()) + LAST_WORD_SECONDS)
        if thread.is_alive():
            found[name] = begin()
            found[name].complaint = "it did not answer in time"
    return found


def ask(node: Node, keys: Sequence[bytes], limits: Limits, deadline: float) -> NodeReport:
    """One node's report. `deadline` is monotonic. Never raises."""
    began, began_at = time.time(), time.monotonic()
    question = introspection_of(node).report(keys)
    failure = exchange(node, question, limits, deadline)
    reply = question.reply
    if failure is None and reply.complaint:
        failure = ProtocolViolation(reply.complaint, node=node.name)
    took = time.monotonic() - began_at
    return NodeReport(node, reply, failure, began + took / 2, took)


def exchange(node: Node, question: Question, limits: Limits, deadline: float) -> NodeFailure | None:
    """Have a node answer `question` on a connection of its own; what cut the answer short, if anything did."""
    size, complete = 0, False
    try:
        connection = Connection.open(node, limits, max(0.001, deadline - time.monotonic()))
        try:
            unsent = memoryview(b"")
            while not complete:
                if question.request:
                    unsent, question.request = memoryview(bytes(unsent) + question.request), b""
                if unsent:
                    unsent = unsent[connection.send(unsent) :]
                left = deadline - time.monotonic()
                if left <= 0 or not connection.poller.poll(left * 1000):
                    raise NodeTimeout(node=node.name)
                chunk = connection.receive() or b""
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    raise ProtocolViolation("an answer without an end", node=node.name)
                complete = question.feed(chunk)
        finally:
            connection.close()
    except NodeFailure as failure:
        failure.node = node.name
        return failure
    return None
