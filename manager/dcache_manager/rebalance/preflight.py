"""Looking at nodes before they join: a resize that can't work is refused while nothing has been changed."""

from collections.abc import Iterable
from typing import NamedTuple

from django_dcache.errors import NodeFailure
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.pool import Limits

from ..inspection.key_listing import lines

OLDEST = (1, 6, 18)


class Unsuitable(NodeFailure):
    """This node can't join the fleet; nothing was changed."""


class Newcomer(NamedTuple):
    name: str
    version: str
    items: int


class Unanswered(NodeFailure):
    """It stays in the fleet and does not answer: bring it back, take it out or remove it first; nothing was changed."""


def silent(nodes: Iterable[Node], limits: Limits) -> list[str]:
    """The names of those that do not answer."""
    names = []
    for node in nodes:
        try:
            _ask(node, limits)
        except NodeFailure:
            names.append(node.name)
    return names


def greet(nodes: Iterable[Node], limits: Limits) -> list[Newcomer]:
    """What each node is. Raises Unsuitable for the first that can't be used."""
    return [_greet(node, limits) for node in nodes]


def _greet(node: Node, limits: Limits) -> Newcomer:
    try:
        version, items = _ask(node, limits)
    except (NodeFailure, ValueError) as error:
        raise Unsuitable(str(error), node=node.name) from error
    text = version.decode("ascii", "replace")
    numbers = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    if numbers < OLDEST:
        raise Unsuitable(f"it runs memcached {text or '(unknown)'}; the oldest supported is 1.6.18", node=node.name)
    return Newcomer(node.name, text, items)


def _ask(node: Node, limits: Limits) -> tuple[bytes, int]:
    """Its version, and how many items it holds (-1: it does not say)."""
    connection = Connection.open(node.name, limits.endpoint(node), limits.connect_timeout, limits.tls)
    try:
        answers = lines(connection, b"version\r\nstats\r\n", max(1.0, limits.timeout))
        _, _, version = next(answers).partition(b" ")
        items = -1
        for line in answers:
            if line == b"END":
                break
            if line.startswith(b"STAT curr_items "):
                items = int(line.rsplit(b" ", 1)[1])
    finally:
        connection.close()
    return version, items
