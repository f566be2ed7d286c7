"""The copies of one key under one view: what a flow asks of each, and how it gives up one that may be out of step."""

from collections.abc import Iterable

from ..commands import Arithmetic, Command, Get, Remove, Reply, Store, Token
from ..errors import NodeFailure
from ..model.view import Standing, View
from . import Flow, Item, Replies
from .consensus import bump


class Copies:
    """Every command carries the generation that the slot of its node has under this view."""

    def __init__(self, view: View, name: bytes):
        self.view, self.name = view, name
        self.place = view.place(name)
        self.route, self.slot = self.place

    def standing(self, node: str) -> Standing:
        return self.view.standing(node, self.slot)

    def usable(self, nodes: Iterable[str]) -> list[str]:
        """Those that may be read and written."""
        return [node for node in nodes if self.standing(node) is Standing.OPEN]

    def owed(self) -> bool:
        """Whether other processes may still read a copy that this one could not disown."""
        return any(self.standing(node) is Standing.OWED for node in self.route.write + self.route.purge)

    def ask(self, node: str, command: Command) -> Flow[Reply | NodeFailure]:
        """A round of one command."""
        replies: Replies = yield {node: [command]}
        return replies[node][0]

    def disown(self, nodes: Iterable[str]) -> Flow[bool]:
        """Make what these nodes hold of the key unreachable. False: others may still read an old copy there."""
        return (yield from bump(self.view, self.place.suspect(nodes)))

    def get(self, node: str, **asked: bool) -> Get:
        return Get(self.name, self._generation(node), **asked)

    def store(self, node: str, item: Item, token: Token | None = None, *, add: bool = False) -> Store:
        return Store(self.name, self._generation(node), item.data, item.flags, item.ttl, add, token)

    def remove(self, node: str, token: Token | None = None) -> Remove:
        return Remove(self.name, self._generation(node), token)

    def arithmetic(self, node: str, delta: int, token: Token | None = None) -> Arithmetic:
        return Arithmetic(self.name, self._generation(node), delta, token)

    def _generation(self, node: str) -> int:
        return self.view.generation(node, self.slot)
