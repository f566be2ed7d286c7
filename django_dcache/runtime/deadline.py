"""Until when an operation may last, and how long one web request may wait for its cache in all.

A `Deadline` is made once, when an operation begins, and no other place works out a time: fifty calls in a view must not
cost fifty timeouts, and what prevents a stale value gets time of its own once, not once for every round.
"""

from collections.abc import Callable
from contextvars import ContextVar
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync

from ..flows import Batches, Brief, Urgent
from ..transport.batch import NO_TIME
from ..transport.pool import half

LEAST = 20
"""Beyond its budget a request's calls still get this part of a timeout: enough for every node that is well."""


class Account:
    """What one request has spent, in seconds. Tasks that wait at the same time spend it once."""

    __slots__ = ("spent", "_waiting", "_since")

    def __init__(self) -> None:
        self.spent = 0.0
        self._waiting, self._since = 0, 0.0

    def wait(self, now: float) -> None:
        """A task begins to wait."""
        if not self._waiting:
            self._since = now
        self._waiting += 1

    def resume(self, now: float) -> None:
        """A task has waited long enough."""
        self._waiting -= 1
        if not self._waiting:
            self.spent += now - self._since


asgi_request = SyncToAsync.thread_sensitive_context
current: ContextVar[Account | None] = ContextVar("dcache_request_account", default=None)
"""Of the present request, shared by the threads it hops to; None outside of requests."""
_accounts: WeakKeyDictionary[object, Account] = WeakKeyDictionary()
"""Under ASGI `request_started` is sent in a task of its own, so that nothing set there arrives in the view. What a
request does have there is the context that its sync code runs in, as an object of its own."""


def begin_request() -> None:
    """A request starts with all of its budget."""
    current.set(Account())


def end_request() -> None:
    """Outside of requests nothing is limited but the single operation."""
    current.set(None)


def account() -> Account | None:
    """That of the present request."""
    found = current.get()
    if found is None and (request := asgi_request.get(None)) is not None:
        found = _accounts.get(request)
        if found is None:
            found = _accounts[request] = Account()
    return found


def spend(seconds: float) -> None:
    """Charge them to the present request."""
    found = account()
    if found is not None:
        found.spent += seconds


class Deadline:
    """Until when one operation may last, and each of its rounds."""

    __slots__ = ("ends", "_clock", "_timeout", "_budget", "_urgent_ends", "_counts_until", "_seen", "_late")

    def __init__(self, clock: Callable[[], float], began: float, timeout: float, request_budget: float):
        self._clock, self._timeout, self._budget = clock, timeout, request_budget
        self.restart(began)

    def restart(self, began: float) -> None:
        """The application has loaded something meanwhile: what follows has the time of an operation."""
        self.ends = began + self._allowance()
        self._urgent_ends, self._counts_until = 0.0, self.ends
        self._seen, self._late = began, False

    def of(self, batches: Batches, sent_at: float | None = None) -> float:
        """When a round has to be answered; NO_TIME if none is left. `sent_at`: when it left, if it has."""
        now = self._clock() if sent_at is None else sent_at
        if self._seen < self.ends <= now and sent_at is None:
            # This process stood still in between, or was busy: no node had any of the time.
            self.restart(now)
            self._late = True
        ends = self._counts_until = self.ends
        if isinstance(batches, Urgent):
            if not self._urgent_ends:
                self._urgent_ends = now + self._allowance()
            ends = self._counts_until = self._urgent_ends
        elif isinstance(batches, Brief):
            ends = now + half(self.ends, now)
        return ends if now < ends or sent_at is not None else NO_TIME

    def carried(self, answered_at: float = 0.0) -> bool:
        """A round was carried, whose last reply came then, or something waited for. Whether it is a late one
        (flows/lateness.py), which one that is brief is not before the operation is: if so, what follows has the time of
        an operation."""
        now = self._clock()
        late = self._late or answered_at > self._counts_until
        if late:
            self.restart(now)
        self._seen = now
        return late

    def left_of_request(self) -> float:
        """Seconds that the present request may still wait for its cache."""
        found = account()
        return float("inf") if found is None else self._budget - found.spent

    def _allowance(self) -> float:
        return max(self._timeout / LEAST, min(self._timeout, self.left_of_request()))
