"""A flow that is carried on by the replies that arrive, not by the task that asked for it.

A task that is cancelled leaves at once. What it began is brought to its end all the same, because a write that may have
happened has to be bumped when its reply is lost, whether or not its caller still waits.
"""

from asyncio import CancelledError, Future, ensure_future, get_running_loop, sleep
from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Protocol

from ..errors import NodeFailure
from ..flows import Batches, Flow, Learn, Load, Owe, Pause, Shun, Wait
from ..flows.lateness import Late
from ..model.view import View
from ..transport.aio import LoopTransport
from ..transport.pipeline import Answers
from .deadline import account
from .fleet import Fleet


async def within_budget(future: "Future[None]", clock: Callable[[], float]) -> None:
    """Wait, at the expense of the present request."""
    charged = account()
    if charged is None:
        await future
        return
    charged.wait(clock())
    try:
        await future
    finally:
        charged.resume(clock())


class Host(Protocol):
    """What a running flow needs of its event loop."""

    fleet: Fleet
    transport: LoopTransport
    left: "set[Running]"
    """Flows whose callers are gone."""

    async def begin(self) -> float: ...


class Running:
    """One flow under way."""

    __slots__ = (
        *("_host", "_fleet", "_flow", "_deadline", "_carried", "_answer", "_missing"),
        *("_answered_at", "_load", "_caller", "_left", "_ended", "_result", "_error"),
    )

    def __init__(self, host: Host, flow: Flow[Any], began: float, rounds: Sequence[Mapping[str, Answers]] = ()):
        self._host, self._fleet, self._flow = host, host.fleet, flow
        self._deadline, self._carried = host.fleet.deadline(began), iter(rounds)
        self._answer: dict[str, Answers] = {}
        self._answered_at = 0.0
        """When the last answer of this round came; 0: none did."""
        self._missing = 0
        """How many nodes have yet to answer in this round."""
        self._load: Load | Wait | None = None
        """What the application is to be asked for, or how long the caller is to wait."""
        self._caller: Future[None] | None = None
        self._left = self._ended = False
        self._result: Any = None
        self._error: BaseException | None = None

    # The caller's side

    async def outcome(self) -> Any:
        self._advance(self._flow.send, None)
        while not self._ended:
            if self._load is None:
                try:
                    await within_budget(self.woken(), self._fleet.clock)
                except BaseException:
                    self._leave()
                    raise
            else:
                await self._call()
        if self._error is not None:
            raise self._error
        return self._result

    def woken(self) -> "Future[None]":
        """Done as soon as the flow has ended, or has something to ask the caller for."""
        if self._caller is None or self._caller.done():
            self._caller = get_running_loop().create_future()
        return self._caller

    async def _call(self) -> None:
        """As the caller would: in its task and its context, however long it takes."""
        assert self._load is not None
        load, self._load = self._load, None
        resume: Callable[[Any], Any] = self._flow.send
        answer: Any
        try:
            if isinstance(load, Wait):
                answer = await self._wait(load.seconds)
            else:
                loaded = load.call()
                if isawaitable(loaded):
                    loaded = await loaded
                self._deadline.restart(await self._host.begin())
                answer = loaded, self._fleet.view
        except BaseException as error:
            if not isinstance(error, Exception):
                self._leave()
            resume, answer = self._flow.throw, error
            self._deadline.restart(self._fleet.clock())
        self._advance(resume, answer)
        if self._left:
            raise answer

    async def _wait(self, seconds: float) -> View | None:
        if self._deadline.left_of_request() <= 0:
            self._deadline.restart(self._fleet.clock())
            return None
        await within_budget(ensure_future(sleep(seconds)), self._fleet.clock)
        self._deadline.restart(await self._host.begin())
        return self._fleet.view

    def _leave(self) -> None:
        self._left = True
        if not self._ended:
            self._host.left.add(self)
        if self._load is not None:
            self._advance(self._flow.throw, CancelledError())

    # The flow's side

    def _advance(self, resume: Callable[[Any], Any], answer: Any) -> None:
        """Go on until there is something to wait for."""
        try:
            while True:
                step = resume(answer)
                resume, answer = self._flow.send, None
                if isinstance(step, dict):
                    if not self._ask(step):
                        return
                    answer = self._answer
                elif isinstance(step, Learn | Owe | Shun):
                    self._fleet.note(step)
                elif isinstance(step, Pause):
                    get_running_loop().call_later(step.seconds, self._resume)
                    return
                elif isinstance(step, Load | Wait):
                    if not self._left:
                        self._load = step
                        self._wake()
                        return
                    resume, answer = self._flow.throw, CancelledError()
        except StopIteration as stop:
            self._result = stop.value
        except BaseException as error:
            self._error = error
        self._ended = True
        self._host.left.discard(self)
        self._wake()

    def _ask(self, round: Batches) -> bool:
        """Send a round; True if all of it is answered already."""
        if carried := next(self._carried, None):
            self._answer = {**carried}
            return True
        deadline, self._answered_at = self._deadline.of(round), 0.0
        self._answer = dict.fromkeys(round, ())
        # One more than there are: an answer that comes at once must not resume the flow from within.
        self._missing = len(round) + 1
        for name, commands in round.items():
            self._host.transport.ask(name, commands, deadline, self._answered)
        self._missing -= 1
        return self._all_answered()

    def _answered(self, name: str, replies: Answers) -> None:
        self._answer[name] = replies
        if not isinstance(replies[-1], NodeFailure):
            self._answered_at = self._fleet.clock()
        self._missing -= 1
        if self._all_answered():
            self._advance(self._flow.send, self._answer)

    def _all_answered(self) -> bool:
        if self._missing:
            return False
        if self._deadline.carried(self._answered_at):
            self._answer = Late(self._answer)
        return True

    def _resume(self) -> None:
        self._deadline.carried()
        self._advance(self._flow.send, None)

    def _wake(self) -> None:
        if self._caller is not None and not self._caller.done():
            self._caller.set_result(None)
