"""Whether a node's address leads to one server: behind a name, or a balancer, there may be several, and each connection
may reach another one. Values would be there, absent or old at random."""

import time

from django_dcache.commands import Command, Get, Remove, Reply, Store, Value
from django_dcache.engines import Engine, engine_of
from django_dcache.errors import NodeFailure
from django_dcache.model.topology import Node
from django_dcache.transport.limits import Limits

from ..inspection.node_query import exchange
from .finding import Finding

CONNECTIONS = 4
"""That look for what another one stored: of two servers that are chosen by chance, 15 in 16 cases are seen."""
SECONDS = 60
"""For which it stays where it can't be removed."""


class Asked:
    """One command, as a question over a connection of its own."""

    def __init__(self, engine: Engine, command: Command):
        self.request = engine.encode([command], 1, time.time())
        self._parser = engine.parser([command], 1, 0, 1000)

    def feed(self, chunk: bytes) -> bool:
        return self._parser.feed(chunk)

    @property
    def reply(self) -> Reply:
        return self._parser.replies[0]


def check(node: Node, key: bytes, how: Limits, deadline: float) -> Finding:
    """What one connection stores under `key` has to be there for every other. `deadline` is monotonic."""
    try:
        _ask(node, Store(key, 0, b"1", ttl=SECONDS), how, deadline)
        found = [isinstance(_ask(node, Get(key), how, deadline), Value) for _ in range(CONNECTIONS)]
        _ask(node, Remove(key, 0), how, deadline)
    except NodeFailure as failure:
        return Finding("one server", node.name, "warn", str(failure))
    if all(found):
        return Finding("one server", node.name, "ok", "what one connection stores is there for every other")
    detail = f"{found.count(False)} of {CONNECTIONS} connections did not find what another one had stored"
    fix = "let its address lead to one server: on Kubernetes a StatefulSet and a headless Service, a name for each pod"
    return Finding("one server", node.name, "fail", detail, fix)


def _ask(node: Node, command: Command, how: Limits, deadline: float) -> Reply:
    question = Asked(engine_of(node), command)
    if failure := exchange(node, question, how, deadline):
        raise failure
    return question.reply
