"""One round on its way: each node's batch, command by command, and whatever becomes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django_dcache.commands import Command, Refused, Reply, Store
from django_dcache.errors import ConnectionLost, LeaseLost, NodeFailure, NodeTimeout, NodeUnreachable, NotServed
from django_dcache.model.keys import RESERVED, wire_key
from django_dcache.model.topology import server_of

from .node import Node
from .process import Round

if TYPE_CHECKING:
    from .world import Task, World

Replies = dict[str, Sequence[Reply | NodeFailure]]

TOO_LATE = NodeTimeout("nothing was sent")
TOO_LATE.sent = False


class Exchange:
    """One round on its way."""

    def __init__(self, world: "World", task: "Task", demand: Round):
        self._world, self.task, self._demand = world, task, demand
        self._outcomes: Replies = {}
        self._open: set[str] = set()

    def begin(self) -> None:
        world, task, batches = self._world, self.task, self._demand.batches
        self._open = set(batches)
        # Sorted: flows make some batches from sets, and a seed has to mean the same every time.
        for name, commands in sorted(batches.items()):
            topology = self._demand.topology or task.process.view.state.topology
            known = topology.nodes.get(server_of(name))
            node = world.servers.get(known.address) if known else None
            if node is None:
                self.close(name, [], NotServed(node=name))
            elif world.now >= self._demand.deadline:
                self.close(name, [], TOO_LATE)
            elif not world.reaches(task.process, node):
                self.close(name, [], NodeUnreachable(node=name))
            else:
                try:
                    self._send(name, node, tuple(commands))
                except LeaseLost as failure:
                    self.close(name, [], failure)
        if not batches:
            world.finish(task, {})
        elif self._open and world.delays:
            world.at(self._demand.deadline, self.expire)

    def _send(self, name: str, node: Node, commands: tuple[Command, ...]) -> None:
        world, faults, chance = self._world, self._world.faults, self._world.chance
        serial = world.connection(self.task, node, commands)
        if not world.delays:
            delivery = Delivery(self, name, node, serial, commands)
            if commands[0].name.startswith(RESERVED):
                while not delivery.last:
                    delivery.execute()
                delivery.execute()
            else:
                world.deliveries.append(delivery)
            return
        left = self._demand.deadline - world.now
        due = world.now + min(world.delay(self.task.pace), left / 4)
        fate = chance.choice(("zombie", "zombie", "lost", "mute")) if chance.random() < faults.hang else ""
        if fate == "zombie":
            due = self._demand.deadline + chance.random() ** 2 * 4
        if fate:
            world.say(f"{self.task.name} → {node.name}: {fate}")
        if world.forks_unseen and not fate:
            world.waiting.setdefault(serial, []).append(self)
        if fate != "lost":
            world.at(due, lambda: self._execute(name, node, node.incarnation, serial, commands, [], fate))

    def _execute(
        self,
        name: str,
        node: Node,
        incarnation: int,
        serial: int,
        commands: tuple[Command, ...],
        replies: list[Reply],
        fate: str,
    ) -> None:
        world = self._world
        if node.incarnation != incarnation:
            self.close(name, [], ConnectionLost(node=name))
            return
        command = commands[len(replies)]
        state = getattr(command, "name", b"").startswith(RESERVED)
        if type(command) is Store and not state and world.chance.random() < world.faults.refuse:
            # memcached removes what it could not replace.
            node.items.pop(wire_key(command.name, command.generation), None)
            reply: Reply = Refused("SERVER_ERROR out of memory storing object")
        else:
            reply = node.execute(command, serial)
        if world.tell and not state:
            world.say(f"{self.task.name} → {node.name}: {short(command)} → {short(reply)} {fate}")
        replies.append(reply)
        if len(replies) < len(commands):
            gap = min(world.delay(self.task.pace), max(0.0, self._demand.deadline - world.now) / 4)
            world.at(world.now + gap, lambda: self._execute(name, node, incarnation, serial, commands, replies, fate))
        elif not fate:
            self._reader(name, serial).close(name, replies)

    def _reader(self, name: str, serial: int) -> "Exchange":
        """Who reads what comes over this connection: another process, if that has it too and asked the same things."""
        waiting = [one for one in self._world.waiting.get(serial, ()) if name in one._open and one._like(self, name)]
        return self._world.chance.choice(waiting) if len(waiting) > 1 else self

    def _like(self, other: "Exchange", name: str) -> bool:
        kinds = ([command._replace(name=b"") for command in one._demand.batches[name]] for one in (self, other))
        return next(kinds) == next(kinds)

    def expire(self) -> None:
        for name in list(self._open):
            self.close(name, [], NodeTimeout(node=name))

    def close(self, name: str, replies: Sequence[Reply | NodeFailure], failure: NodeFailure | None = None) -> None:
        if name not in self._open:
            return
        self._open.discard(name)
        if failure is not None:
            replies = [failure] * len(self._demand.batches[name])
            if failure.sent:
                self.task.connections.pop(name, None)
        self._outcomes[name] = replies
        self.task.process.heard(server_of(name), failure is None)
        if not self._open:
            self._world.finish(self.task, self._outcomes, self._demand.deadline)


class Delivery:
    """One batch on its way, without delays: executed when orders.py says so."""

    def __init__(self, exchange: Exchange, name: str, node: Node, serial: int, commands: tuple[Command, ...]):
        self.exchange, self.name, self.node, self.lost = exchange, name, node, False
        self._serial, self._commands = serial, commands
        self.replies: list[Reply] = []

    @property
    def last(self) -> bool:
        """Whether its next command is its last."""
        return len(self.replies) + 1 == len(self._commands)

    def execute(self) -> None:
        """The next command."""
        last = self.last
        self.replies.append(self.node.execute(self._commands[len(self.replies)], self._serial))
        if last and not self.lost:
            self.exchange.close(self.name, self.replies)

    def lose(self) -> None:
        """The client gives up; the commands may still be executed."""
        self.lost = True
        self.exchange.close(self.name, [], NodeTimeout(node=self.name))

    def __repr__(self) -> str:
        return f"{self.exchange.task.name} {self.node.name} {self._commands} {self.replies} {self.lost}"


def short(value: Any) -> str:
    if isinstance(value, tuple):
        fields = type(value)._field_defaults
        shown = {k: v for k, v in value._asdict().items() if k not in fields or fields[k] != v}
        return f"{type(value).__name__}({', '.join(f'{k}={v}' for k, v in shown.items())})"
    return str(value)
