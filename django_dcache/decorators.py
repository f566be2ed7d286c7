"""@cached: what a function returned for these arguments, from the cache.

@cached(60, stale=600, tags=["product:{pk}"])
def price(pk: int) -> Decimal: ...

price(7)
price.invalidate(7)
price.refresh(7)
"""

import inspect
from asyncio import iscoroutinefunction
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial, update_wrapper
from hashlib import blake2b
from importlib import import_module
from string import Formatter
from typing import Any, Generic, ParamSpec, TypeVar, cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.db.models import Model
from django.utils import timezone, translation

from .backend import DistributedCache
from .errors import ConfigurationError
from .invalidation import find_cache, invalidate

P = ParamSpec("P")
R = TypeVar("R")
Template = str | Callable[..., str]
Templates = Iterable[str] | Callable[..., Iterable[str]]
Vary = Iterable[str | Callable[[], Any]]

_PLAIN = (str, bytes, int, float, Decimal, UUID, date, time, timedelta, Enum, type(None))
_IN_MESSAGES = (str, int, float, bool, type(None))
"""Types of arguments that another process can be told."""
Sender = Callable[[str, list[Any], dict[str, Any]], bool]
"""Has a worker `renew` what a function returns for these arguments; whether one will."""
_VARY: dict[str, Callable[[], Any]] = {
    "language": translation.get_language,
    "timezone": timezone.get_current_timezone_name,
}


class Cached(Generic[P, R]):
    """A function, coroutine function or method whose results are cached."""

    def __init__(
        self,
        function: Callable[P, R],
        timeout: Any,
        stale: float,
        tags: Templates,
        key: Template | None,
        vary: Vary,
        alias: str,
        in_task: bool,
    ):
        update_wrapper(self, function)
        self._function, self._signature = function, inspect.signature(function)
        self._timeout, self._stale, self._alias = timeout, stale, alias
        self._tags, self._key = tags, key
        self._vary = [_VARY[each] if isinstance(each, str) else each for each in vary]
        self._awaited = iscoroutinefunction(function)
        self._name = f"{function.__module__}:{function.__qualname__}"
        if in_task:
            if self._awaited:
                raise ConfigurationError(
                    f"{self._name}: in_task is for plain functions, since the event loop would wait for the broker; "
                    "leave it out, or cache a plain function"
                )
            if "<locals>" in self._name:
                raise ConfigurationError(
                    f"{self._name}: in_task is for functions that a worker can import; move it to the top of its module"
                )
            _in_task[self._name] = self
        self._in_task = in_task

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        cache, call = self._cache, partial(self._function, *args, **kwargs)
        get_or_set = cache.aget_or_set if self._awaited else cache.get_or_set
        terms: dict[str, Any] = {"tags": self.tags_of(*args, **kwargs), "stale": self._stale}
        if self._in_task and all(type(each) in _IN_MESSAGES for each in (*args, *kwargs.values())):
            terms["renew"] = lambda: _send(self._name, list(args), kwargs)
        return cast(R, get_or_set(self.key_of(*args, **kwargs), call, self._timeout, **terms))

    def renew(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """In a worker: load anew what is stale for these arguments, unless it was written or invalidated meanwhile."""
        cache, call = self._cache, partial(self._function, *args, **kwargs)
        key, tags = self.key_of(*args, **kwargs), self.tags_of(*args, **kwargs)
        cache.give_claim_back(key)
        cache.get_or_set(key, call, self._timeout, tags=tags, stale=self._stale)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else _Bound(self, instance)

    def key_of(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of the result for these arguments. Raises TypeError where they can't be told from others."""
        bound = self._bound(*args, **kwargs)
        varied = [str(each()) for each in self._vary]
        if callable(self._key):
            key = self._key(*args, **kwargs)
        elif self._key is not None:
            key = Formatter().vformat(self._key, (), bound)
        else:
            told = repr([(name, _identity(name, value)) for name, value in bound.items()])
            name = f"{self._function.__module__}.{self._function.__qualname__}".replace("<locals>.", "")
            key = f"{name[-100:]}:{blake2b(told.encode(), digest_size=16).hexdigest()}"
        return ":".join([key, *varied])

    def tags_of(self, *args: P.args, **kwargs: P.kwargs) -> list[str]:
        """The tags of the result for these arguments."""
        if callable(self._tags):
            return list(self._tags(*args, **kwargs))
        bound = self._bound(*args, **kwargs)
        return [Formatter().vformat(tag, (), bound) for tag in self._tags]

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Make the result for these arguments unreadable, in every region, after the commit."""
        invalidate([self.key_of(*args, **kwargs)], alias=self._alias)

    async def ainvalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """`invalidate` in a coroutine."""
        await sync_to_async(self.invalidate)(*args, **kwargs)

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function now, and store what it returns."""
        if self._awaited:
            return cast(R, self._arefresh(*args, **kwargs))
        cache, key = self._cache, self.key_of(*args, **kwargs)
        tags = cache.tag_versions(self.tags_of(*args, **kwargs))
        value = self._function(*args, **kwargs)
        cache.set(key, value, self._timeout, tags=tags, stale=self._stale)
        return value

    async def _arefresh(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        cache, key = self._cache, self.key_of(*args, **kwargs)
        tags = await cache.atag_versions(self.tags_of(*args, **kwargs))
        value = await cast(Awaitable[Any], self._function(*args, **kwargs))
        await cache.aset(key, value, self._timeout, tags=tags, stale=self._stale)
        return value

    @property
    def _cache(self) -> DistributedCache:
        return find_cache(self._alias)

    def _bound(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The arguments by name."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)


class _Bound:
    """A cached method of one object."""

    def __init__(self, cached: Cached[..., Any], instance: Any):
        self.__wrapped__, self._instance = cached, instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(self._instance, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ("key_of", "tags_of", "invalidate", "ainvalidate", "refresh"):
            return partial(getattr(self.__wrapped__, name), self._instance)
        return getattr(self.__wrapped__, name)


_in_task: dict[str, Cached[..., Any]] = {}
"""The functions that workers load anew, by module and name."""


def _loaded_by_its_reader(name: str, args: list[Any], kwargs: dict[str, Any]) -> bool:
    return False


_send: Sender = _loaded_by_its_reader


def send_with(sender: Sender) -> None:
    """Have `sender` tell workers what is stale."""
    global _send
    _send = sender


def renew(name: str, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """In a worker: what a message asks for; False if no function of the site is declared under this name. The module is
    imported only if it is one of an installed application: a message may come from anywhere."""
    module = name.partition(":")[0]
    if name not in _in_task and apps.get_containing_app_config(module):
        with suppress(ImportError):
            import_module(module)
    function = _in_task.get(name)
    if function is None or not all(type(each) in _IN_MESSAGES for each in (*args, *kwargs.values())):
        return False
    try:
        function.key_of(*args, **kwargs)
    except TypeError:
        return False
    function.renew(*args, **kwargs)
    return True


def cached(
    timeout: Any = DEFAULT_TIMEOUT,
    *,
    stale: float = 0,
    tags: Templates = (),
    key: Template | None = None,
    vary: Vary = (),
    alias: str = "default",
    in_task: bool = False,
) -> Callable[[Callable[P, R]], Cached[P, R]]:
    """Cache what a function, coroutine function or method returns, for `timeout` seconds.

    `stale`, `tags`: as those of `get_or_set`. `tags` and `key` are texts in which `{argument}` is filled in, or
    functions of the arguments; without a `key` it is made of the function's name and all its arguments. `vary`: what
    else the result depends on: "language", "timezone", or functions without arguments. `in_task`: what is stale is
    loaded anew by a Celery worker (dcache_manager) where the arguments are text, numbers, booleans or None and a broker
    answers; else by the caller that finds it. Raises ConfigurationError.
    """
    if isinstance(tags, str) or isinstance(vary, str):
        raise ConfigurationError("tags and vary are lists")
    if unknown := [each for each in vary if isinstance(each, str) and each not in _VARY]:
        raise ConfigurationError(f"vary has {unknown[0]!r}, want {', '.join(_VARY)} or a function")
    return lambda function: Cached(function, timeout, stale, tags, key, vary, alias, in_task)


def _identity(name: str, value: Any) -> Any:
    """What tells this value from others, in every process. Raises TypeError."""
    if isinstance(value, _PLAIN):
        return type(value).__qualname__, str(value)
    if isinstance(value, Model):
        if value.pk is None:
            raise TypeError(f"argument {name!r} is a {type(value).__name__} that was not saved: it has no key yet")
        return value._meta.label, str(value.pk)
    if isinstance(value, dict):
        return [(_identity(name, key), _identity(name, each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [_identity(name, each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, (_identity(name, each) for each in value)))
    if isinstance(value, type):
        return value.__module__, value.__qualname__
    raise TypeError(
        f"argument {name!r} is a {type(value).__name__}, which @cached can't tell from another one in every process; "
        "say what it depends on: @cached(…, key='name:{argument.attribute}')"
    )
