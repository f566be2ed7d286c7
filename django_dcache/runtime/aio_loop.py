"""Which event loop runs what: a loop needs connections and a proof of its own, and takes them along when it ends."""

import asyncio
import threading
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, cast

from ..flows import Flow, Result
from ..flows.lateness import confirmed
from ..flows.stamps import stamped
from ..transport import forks
from ..transport.aio import LoopTransport
from .aio_flow import Running
from .fleet import Carried, Fleet


async def run(
    fleet: Fleet,
    flow: Callable[..., Flow[Result]],
    *arguments: Any,
    carried: Carried | None = None,
) -> Result:
    """As `Fleet.run`."""
    runner = runner_of(fleet)
    if carried is None:
        began = await runner.begin()
        carried = Carried(fleet.view, began, ())
    elif not carried.view.proven:
        await runner.begin()
    view = fleet.still(carried.view)
    decided = confirmed(view, stamped(view, flow(view, *arguments)))
    return cast(Result, await Running(runner, decided, carried.began, carried.rounds).outcome())


class Runner:
    """What one event loop needs to run the flows of one fleet."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self.transport = LoopTransport(fleet.transport, fleet.options.async_connections)
        self.left: set[Running] = set()
        """Flows whose callers are gone."""
        self.guard: AsyncGenerator[None, None] | None = None
        self._proof: asyncio.Task[None] | None = None

    async def begin(self) -> float:
        """The moment from which an operation has its time, as `Fleet.begin`.

        One flow proves the view for all tasks of the loop; they wait for it only if the proof they have is too old.
        """
        fleet = self.fleet
        began = fleet.clock()
        for _ in range(3):  # Again, if this process stood still meanwhile.
            if began < fleet.renew_at:
                break
            if self._proof is None:
                self._proof = get_running_loop().create_task(self._prove(), context=Context())
            if fleet.proven:
                break
            await asyncio.shield(self._proof)
            began = fleet.clock()
        return began

    async def _prove(self) -> None:
        self.transport.sweep()
        fleet = self.fleet
        try:
            if await Running(self, fleet.attempt(), fleet.clock()).outcome():
                await Running(self, fleet.look(), fleet.clock()).outcome()
        finally:
            self._proof = None

    async def end(self) -> None:
        """Before the loop ends: see to what is under way, which has deadlines, and give the connections back."""
        if self.left:
            await asyncio.wait([running.woken() for running in self.left], timeout=self.fleet.options.operation)
        self.transport.close()


_lock = threading.Lock()  # protects changes of _runners
_runners: dict[AbstractEventLoop, dict[Fleet, Runner]] = {}
_inherited: list[Any] = []


def runner_of(fleet: Fleet) -> Runner:
    """The one of this fleet on the running loop."""
    forks.look()
    loop = get_running_loop()
    try:
        return _runners[loop][fleet]
    except KeyError:
        pass
    with _lock:
        for other in [other for other in _runners if other.is_closed()]:
            for left_behind in _runners.pop(other).values():
                left_behind.transport.forget()
        runner = _runners.setdefault(loop, {})[fleet] = Runner(fleet)
    runner.guard = _guard(loop, runner)
    with suppress(StopIteration):
        runner.guard.__anext__().send(None)  # Only one that has begun is closed with its loop.
    return runner


async def _guard(loop: AbstractEventLoop, runner: Runner) -> AsyncGenerator[None, None]:
    """A loop that ends in good order closes its asynchronous generators: the one hook there is."""
    try:
        yield
    finally:
        await runner.end()
        with _lock:
            _runners[loop].pop(runner.fleet)
            if not _runners[loop]:
                del _runners[loop]


@forks.in_child
def _after_fork() -> None:
    """The parent's loops go on in the parent and share with us what they listen to: here they are only kept."""
    global _lock, _runners
    for runners in _runners.values():
        for runner in runners.values():
            runner.transport.forget()
    _inherited.append(_runners)
    _lock, _runners = threading.Lock(), {}
