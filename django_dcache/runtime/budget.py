"""How long one web request may wait for its cache in all: fifty calls in a view must not cost fifty timeouts."""

from contextvars import ContextVar
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync

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

    def go_on(self, now: float) -> None:
        """It goes on."""
        self._waiting -= 1
        if not self._waiting:
            self.spent += now - self._since


_current: ContextVar[Account | None] = ContextVar("dcache_request_budget", default=None)
"""Of the present request, shared by the threads it hops to; None outside of requests."""
_accounts: WeakKeyDictionary[object, Account] = WeakKeyDictionary()
"""Under ASGI `request_started` is sent in a task of its own, so that nothing set there arrives in the view. What a
request does have there is the context that its sync code runs in, as an object of its own."""


def begin() -> None:
    """A request starts with all of its budget."""
    _current.set(Account())


def end() -> None:
    """Outside of requests nothing is limited but the single operation."""
    _current.set(None)


def account() -> Account | None:
    """That of the present request."""
    found = _current.get()
    if found is None and (request := SyncToAsync.thread_sensitive_context.get(None)) is not None:
        found = _accounts.get(request)
        if found is None:
            found = _accounts[request] = Account()
    return found


def spend(seconds: float) -> None:
    found = account()
    if found is not None:
        found.spent += seconds


def allowance(timeout: float, budget: float) -> float:
    """Seconds the next operation may last."""
    found = account()
    return timeout if found is None else max(timeout / LEAST, min(timeout, budget - found.spent))
