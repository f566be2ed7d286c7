"""A faulty network in front of a real node."""

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal, TypeAlias

from . import tampering
from .addresses import socket_address
from .connection import Side
from .dialogue import FrameSplitter, Splitter, command_block, reply_block
from .endpoint import Endpoint

Direction: TypeAlias = Literal["commands", "replies", "both"]


@dataclass(frozen=True)
class Faults:
    """All that is wrong with the network at one moment."""

    held: frozenset[str] = frozenset()
    swallowed: frozenset[str] = frozenset()
    delays: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # (seconds, jitter)
    tamper: tampering.Tamper | None = None


class FaultProxy(Endpoint):
    """Carries commands (client → node) and replies (node → client), faultlessly until a fault is switched on.

        with LocalNode() as node, FaultProxy(node.address, seed=7) as proxy:
            proxy.blackhole("replies")      # ... clients of proxy.address; several faults may be on together
            proxy.heal()

    A fault lasts until `heal()`. One proxy per process and node makes partitions between pairs of them. When the target
    can't be reached, clients are accepted and then reset. `target` may be set: it counts for new connections.
    `framed`: commands and replies are frames, as Ignite's, and not lines.
    """

    def __init__(self, target: str, seed: int = 0, host: str = "127.0.0.1", framed: bool = False):
        super().__init__(host)
        self.target, self._framed = target, framed
        self.on_command: Callable[[bytes], None] | None = None
        """Called, in the proxy's own thread, with each command before it is carried to the node."""
        self._garbage, self._jitter = Random(seed), Random(seed)  # apart: how a stream is cut up is not in the seed
        self._faults = Faults()
        self._severed: set[Side] = set()

    # Faults of the network; `refuse`, `ignore_connects` and `drop_connections` come from Endpoint

    def delay(self, seconds: float, jitter: float = 0.0, direction: Direction = "replies") -> None:
        """Everything takes `seconds`, plus a random part of `jitter`, longer; the order stays."""
        changed = dict.fromkeys(_ways(direction), (seconds, jitter))
        self._set(delays={**self._faults.delays, **changed})

    def hold(self, direction: Direction = "commands") -> None:
        """Nothing is delivered before `release()`, and then everything is, though its client be long gone (a zombie).

        With "both", the node looks frozen (SIGSTOP), but only to the clients of this proxy.
        """
        self._set(held=self._faults.held | _ways(direction))

    def release(self) -> None:
        """Delivers what was held, in order."""
        self._set(held=frozenset())

    def blackhole(self, direction: Direction = "both") -> None:
        """Whatever is sent is lost, the end of a connection too; connections stay half-open.

        A connection that lost a byte never recovers, since TCP delivers no stream with a hole: `heal()` resets it.
        """
        self._set(swallowed=self._faults.swallowed | _ways(direction))

    def heal(self) -> None:
        """No more faults. What was held or delayed is delivered; new connections are accepted."""
        self._switch(self._heal)

    # Faults of replies: one at a time, the last one set; `times=None` means every reply

    def tamper(self, change: tampering.Change, times: int | None = None) -> None:
        """Replaces whole replies: `change(reply)` returns any Answer, or None to let it pass, uncounted."""
        self._set(tamper=tampering.Tamper(change, times))

    def cut_after(self, count: int, *, reset: bool = False, times: int | None = 1) -> None:
        """Closes (or resets) the connection on which byte number `count` of the replies from now on was delivered."""
        self.tamper(tampering.cut_after(count, tampering.ending(reset)), times)

    def cut_in_value(self, *, reset: bool = False, times: int | None = 1) -> None:
        """Closes (or resets) the connection half-way through the next value."""
        self.tamper(tampering.cut_in_value(tampering.ending(reset)), times)

    def garbage(self, times: int | None = None) -> None:
        """Random bytes instead of a reply."""
        self.tamper(tampering.garbage(self._garbage), times)

    def duplicate_replies(self, times: int | None = None) -> None:
        """Every reply comes twice."""
        self.tamper(tampering.duplicate, times)

    def dribble(self, seconds: float = 0.01, times: int | None = None) -> None:
        """Replies come one byte at a time, with a pause of `seconds` after each."""
        self.tamper(tampering.dribble(seconds), times)

    def answer_error(self, line: bytes = b"SERVER_ERROR out of memory", times: int | None = None) -> None:
        """An error instead of the reply, though the node did as it was told."""
        self.tamper(tampering.error(line), times)

    # In the loop

    def _set(self, **changes: Any) -> None:
        def change() -> None:
            self._faults = replace(self._faults, **changes)

        self._switch(change)

    async def _heal(self) -> None:
        self._faults = Faults()
        self._door.open()
        await self._reset(self._severed)
        self._severed.clear()

    async def _serve(self, client: Side, number: int) -> None:
        node = await self._reach()
        if node is None:
            client.reset()
            return
        self._spawn(self._carry_commands(client, node))
        try:
            await self._carry_replies(client, node)
        finally:
            node.close()

    async def _reach(self) -> Side | None:
        family, where = socket_address(self.target)
        connection = socket.socket(family)
        connection.setblocking(False)
        try:
            await self._loop.sock_connect(connection, where)
        except OSError:
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        node = self._side(connection)
        await node.open()
        return node

    async def _carry_commands(self, client: Side, node: Side) -> None:
        splitter = FrameSplitter() if self._framed else Splitter(command_block)
        async for data in self._delivered("commands", client, node):
            if self.on_command:
                for command in splitter.feed(data):
                    self.on_command(command)
            node.send(data)
        node.end()

    async def _carry_replies(self, client: Side, node: Side) -> None:
        splitter = FrameSplitter() if self._framed else Splitter(reply_block)
        async for data in self._delivered("replies", node, client):
            replies = splitter.feed(data)
            if self._faults.tamper is None:
                client.send(b"".join(replies))
                continue
            for reply in replies:
                await self._give(client, self._faults.tamper(reply) if self._faults.tamper else reply)
        client.send(bytes(splitter.rest))

    async def _delivered(self, way: str, source: Side, sink: Side) -> AsyncIterator[bytes]:
        """What `source` sent, as far as the faults let it through, until its end."""
        severed = False
        while not (severed and source.gone.done()):
            moment, data = await source.inbox.get()
            await self._due(way, moment)
            if severed := severed or way in self._faults.swallowed:
                self._severed.update((source, sink))
            elif data:
                yield data
            else:
                return

    async def _due(self, way: str, moment: float) -> None:
        luck = self._jitter.random()
        while True:
            if way in self._faults.held:
                await self._thrown.wait()
                continue
            seconds, jitter = self._faults.delays.get(way, (0.0, 0.0))
            left = moment + seconds + jitter * luck - self._loop.time()
            if left <= 0:
                return
            await self._pause(left)


def _ways(direction: Direction) -> frozenset[str]:
    return frozenset(("commands", "replies") if direction == "both" else (direction,))
