"""The warmers of a project: generators in the `warmers.py` of its apps, known by name.

@warmer("products", every=300, depends_on_tags=["catalog"])
def products():
    for pk in Product.objects.values_list("pk", flat=True).iterator():
        yield f"product:{pk}", partial(load, pk)
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.utils.module_loading import module_has_submodule

from django_dcache.backend import DistributedCache
from django_dcache.errors import ConfigurationError

from ..errors import NotFound
from ..spelling import meant
from .items import Entry, Item

log = logging.getLogger("dcache_manager")

CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class Warmer:
    """A generator of items, and the terms on which it is run."""

    name: str
    function: Callable[[], Iterable[Any]]
    every: float | None
    """Seconds between two runs; None: only when asked for."""
    tags: tuple[str, ...]
    alias: str
    timeout: Any
    version: int | None
    rate: float | None
    """Items a second, at most."""
    concurrency: int
    ordered: bool
    """Whether it yields the same items in the same order each time."""

    @property
    def cache(self) -> DistributedCache:
        """Raises ConfigurationError."""
        cache = caches[self.alias]
        if not isinstance(cache, DistributedCache):
            raise ConfigurationError(f"warmer {self.name!r}: cache {self.alias!r} is not a DistributedCache")
        return cache

    @property
    def fleet(self) -> str:
        """The name of the fleet it fills. Raises ConfigurationError."""
        return self.cache.fleet.configuration.fleet

    @property
    def place(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def items(self) -> Iterator[Item]:
        """What it yields, pairs made into entries. Raises ConfigurationError, and whatever the function raises."""
        for yielded in self.function():
            if isinstance(yielded, tuple) and len(yielded) == 2:
                yielded = Entry(*yielded)
            elif not isinstance(yielded, Item):
                kind = type(yielded).__name__
                raise ConfigurationError(
                    f"warmer {self.name!r} yields a {kind}, want (key, loader or value) or an item"
                )
            yield yielded.within(self.alias, self.timeout, self.version)


_warmers: dict[str, Warmer] = {}


def warmer(
    name: str,
    *,
    every: float | None = None,
    depends_on_tags: Iterable[str] = (),
    alias: str = "default",
    timeout: Any = DEFAULT_TIMEOUT,
    version: int | None = None,
    rate: float | None = None,
    concurrency: int = CONCURRENCY,
    ordered: bool = True,
) -> Callable[[Callable[[], Iterable[Any]]], Callable[[], Iterable[Any]]]:
    """Register the generator function below as a warmer.

    It yields `(key, loader)`, `(key, value)`, or an Entry, View or Fragment. A loader takes no arguments and is called
    under a lease, only if the key is missing. `every` is in seconds, `rate` in items a second, `timeout` and `version`
    as for `cache.set`. `ordered=False` says that the order differs from time to time: then an interrupted run starts
    again. Raises ConfigurationError.
    """
    if isinstance(depends_on_tags, str):
        raise ConfigurationError(f"warmer {name!r}: depends_on_tags is a string, want a list of strings")
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 100:
        raise ConfigurationError(f"{name!r} can't be the name of a warmer: up to 100 printable characters")
    for what, number in {"every": every, "rate": rate, "concurrency": concurrency}.items():
        if number is not None and number <= 0:
            raise ConfigurationError(f"warmer {name!r}: {what} is {number!r}, want more than 0")

    def register(function: Callable[[], Iterable[Any]]) -> Callable[[], Iterable[Any]]:
        made = Warmer(
            name, function, every, tuple(depends_on_tags), alias, timeout, version, rate, concurrency, ordered
        )
        known = _warmers.setdefault(name, made)
        if known.place != made.place:
            raise ConfigurationError(f"there are two warmers {name!r}: {known.place} and {made.place}")
        _warmers[name] = made  # A module may be loaded again.
        return function

    return register


def broken_modules() -> dict[str, str]:
    """Why a `warmers.py` of the project can't be imported, by module. The others' warmers are there all the same."""
    broken = {}
    for app in apps.get_app_configs():
        if app.module is None or not module_has_submodule(app.module, "warmers"):
            continue
        module = f"{app.name}.warmers"
        try:
            import_module(module)
        except Exception as error:  # Whatever the project's own code raises.
            broken[module] = f"{type(error).__name__}: {error}"
    return broken


def warmers(tags: Iterable[str] = ()) -> list[Warmer]:
    """Those of the project, by name; with `tags` only those that depend on one of them."""
    for module, why in broken_modules().items():
        log.warning("%s can't be imported: %s", module, why, extra={"action": "warmer_failed"})
    wanted = set(tags)
    return [found for _, found in sorted(_warmers.items()) if not wanted or wanted.intersection(found.tags)]


def find(name: str) -> Warmer:
    """The warmer of that name. Raises ConfigurationError."""
    broken = broken_modules()
    if name not in _warmers and broken:
        listed = "; ".join(f"{module} can't be imported: {why}" for module, why in broken.items())
        raise NotFound(f"no warmer {name!r}; {listed}")
    if name not in _warmers:
        raise NotFound(f"no warmer {name!r}; {meant(name, sorted(_warmers))}")
    return _warmers[name]
