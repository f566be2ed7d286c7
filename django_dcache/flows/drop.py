"""Deleting an item that is known to be no value any more: chunks of it are gone, or its conditions do not hold."""

from ..commands import Command, Get, Remove, Value
from ..model.view import Standing, View
from . import Flow


def drop(view: View, name: bytes, stored: bytes | None) -> Flow[None]:
    """Delete what lies under `name`, on each copy where it still is what was read. Whatever was written since stays."""
    route, slot = view.place(name)
    nodes = [node for node in route.read if view.standing(node, slot) is Standing.OPEN]
    if not nodes:
        return
    generations = {node: view.generation(node, slot) for node in nodes}
    replies = yield {node: [Get(name, generations[node], token=True, peek=True)] for node in nodes}
    removes: dict[str, list[Command]] = {
        node: [Remove(name, generations[node], reply.token)]
        for node, (reply,) in replies.items()
        if isinstance(reply, Value) and reply.data == stored and reply.token
    }
    if removes:
        yield removes
