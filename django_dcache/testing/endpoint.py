"""A listening address in a background thread, with switches for the thread that tests."""

import asyncio
import os
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self

from .addresses import HeldPort
from .answers import CLOSE, RESET, Answer, Dribble
from .connection import Side
from .door import Door

PATIENCE = 10.0  # seconds for the loop to throw a switch; it takes microseconds


class Endpoint:
    """Listens on `address` for a `with` block, or from `start()` to `stop()`; a subclass says what then happens.

    Every switch has taken effect when it returns, and none changes the address.
    """

    def __init__(self, host: str = "127.0.0.1"):
        self._port = HeldPort(host)
        self.address = f"{host}:{self._port.number}"
        self.accepted = 0
        """How many connections were accepted so far."""
        self._maker = os.getpid()
        self._thread: threading.Thread | None = None
        self._clients: set[Side] = set()
        self._sides: set[Side] = set()  # the clients, and whatever `_serve` has dialled for them
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._thrown = asyncio.Event()  # set, and replaced, whenever a switch is thrown
        _endpoints.add(self)

    async def _serve(self, client: Side, number: int) -> None:
        """All that happens on the `number`th connection (from 1); it is closed when this returns."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} {'running' if self._thread else 'not running'}>"

    def __enter__(self) -> Self:
        return self if self._thread else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._door = Door(self._port, self._loop, self._welcome)
        self._thread = threading.Thread(target=self._loop.run_forever, name=repr(self), daemon=True)
        self._thread.start()
        self.listen()
        return self

    def stop(self) -> None:
        """Closes every connection and gives up the address. Raises what went wrong in the background, if anything did.

        Does nothing in a forked child, whose endpoint it is not.
        """
        if self._maker != os.getpid():
            return
        if self._thread:
            self._switch(self._shut)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None
            self._loop.close()
        self._port.close()
        if self._failures:
            raise self._failures.pop()

    @property
    def open(self) -> int:
        """How many accepted connections neither end has closed."""
        return sum(not (client.hung_up or client.ended) for client in list(self._clients))

    # Switches

    def listen(self) -> None:
        """New connections are accepted, as they are at the start."""
        self._switch(lambda: self._door.open())

    def refuse(self) -> None:
        """New connections are refused; open ones go on."""
        self._switch(lambda: self._door.shut())

    def ignore_connects(self) -> None:
        """New connections get no answer, not even a refusal (Linux): clients wait for their connect timeout."""
        self._switch(lambda: self._door.ignore())

    def drop_connections(self) -> None:
        """Resets every open connection (RST)."""
        self._switch(self._drop)

    def _switch(self, step: Callable[[], Any]) -> None:
        """Runs `step` in the loop, waits for it, and wakes the tasks that wait in there."""

        async def throw() -> None:
            if pending := step():
                await pending
            self._thrown.set()
            self._thrown = asyncio.Event()

        asyncio.run_coroutine_threadsafe(throw(), self._loop).result(PATIENCE)

    async def _drop(self) -> None:
        self._door.admit()  # clients that have connected are to be dropped too, accepted already or not
        await self._reset(self._sides)

    async def _reset(self, sides: Iterable[Side]) -> None:
        doomed = list(sides)
        await asyncio.gather(*(side.opened for side in doomed))
        for side in doomed:
            side.reset()
        await asyncio.gather(*(side.gone for side in doomed))

    async def _shut(self) -> None:
        self._door.shut()
        await asyncio.gather(*(side.opened for side in self._sides))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop()

    # Connections

    def _welcome(self, connection: socket.socket) -> None:
        self.accepted += 1
        client = self._side(connection)
        self._clients.add(client)
        client.gone.add_done_callback(lambda _: self._clients.discard(client))
        self._spawn(self._attend(client, self.accepted))

    def _side(self, connection: socket.socket) -> Side:
        side = Side(connection)
        self._sides.add(side)
        side.gone.add_done_callback(lambda _: self._sides.discard(side))
        return side

    async def _attend(self, client: Side, number: int) -> None:
        await client.open()
        try:
            await self._serve(client, number)
            client.close()
        except Exception:
            client.reset()
            raise

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)

    async def _give(self, side: Side, answer: Answer) -> None:
        match answer:
            case bytes():
                side.send(answer)
            case Dribble(reply, seconds):
                for sent in range(len(reply)):
                    side.send(reply[sent : sent + 1])
                    if await self._pause(seconds):
                        side.send(reply[sent + 1 :])
                        break
            case tuple():
                for part in answer:
                    await self._give(side, part)
            case _ if answer is CLOSE:
                side.end()
            case _ if answer is RESET:
                side.reset()

    async def _pause(self, seconds: float) -> bool:
        """Waits `seconds`, or until a switch is thrown: True if so."""
        try:
            async with asyncio.timeout(seconds):
                return await self._thrown.wait()
        except TimeoutError:
            return False


_endpoints: "weakref.WeakSet[Endpoint]" = weakref.WeakSet()


def _leave_to_the_parent() -> None:
    """A forked child holds every socket too: a refusal or a reset by the parent would do nothing until it lets go."""
    for endpoint in _endpoints:
        for held in (*(endpoint._door.sockets if endpoint._thread else ()), *(side.socket for side in endpoint._sides)):
            held.close()


os.register_at_fork(after_in_child=_leave_to_the_parent)
