"""Mistakes in what a process keeps of what it has read, and in what it makes of tags."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from dcache_drill.plan import WEIGHTS
from django_dcache.flows import Operation as Steps

from .registry import HOT, mistake
from .seams import replace

KEPT = {"near": True, "rate": 300.0, **HOT}
APART = {"nodes": 8, "spares": 0}
"""More nodes than keep the fleet state: what is wrong with one of them is not heard of by its own trouble."""
FROM_AFAR = KEPT | APART | {"workers": 8, "far_readers": 4}
DISTRUSTED = KEPT | APART | {"workers": 8, "freshness": 5.0, "eject_after": 0.0}
SELDOM_WRITTEN = {"rate": 20.0, "zipf": 0.9, "calm": 4.0}
SELDOM_WRITTEN |= {"weights": dict.fromkeys(WEIGHTS, 0) | {"delete_many": 30, "set_many": 70}}
"""What one process lost, no other writes anew at once."""
TAGGED = {
    "weights": dict.fromkeys(WEIGHTS, 0) | {"load_tagged": 20, "get": 40, "change_tagged": 4},
    **{"slow_loader": 0.5, "slow_loads": 0.2},
}


# What a process keeps


@mistake("slow", **FROM_AFAR | {"freshness": 1.0, "timeout": 1.0, "workers": 5, "calm": 0.3})
def time_of_reply() -> None:
    """An entry is as old as the reply, and not as the request."""

    def admitting(admit: Callable[..., None]) -> Callable[..., None]:
        return lambda near, made_key, began, *read: admit(near, made_key, near._clock(), *read)

    replace("django_dcache.runtime.near:Near.admit", admitting)


@mistake("split", **DISTRUSTED | SELDOM_WRITTEN, far_readers=4, seed=3)
def no_view_check() -> None:
    """An entry is served by a process that has not proven its view."""
    replace(
        "django_dcache.runtime.entries:Entry.proven",
        lambda _: lambda entry, now, plans, proven_until: now < entry.ends and entry.plans is plans,
    )


@mistake("partition", **DISTRUSTED, readers=3)
def no_generation_check() -> None:
    """An entry is served whatever was bumped since it was read."""
    replace(
        "django_dcache.runtime.entries:Entry.proven",
        lambda _: lambda entry, now, plans, proven_until: now < entry.ends and now < proven_until,
    )


@mistake("slow", **KEPT)
def own_not_dropped() -> None:
    """A process keeps an entry that it overwrites."""

    def nothing(_: Any) -> Callable[..., AbstractContextManager[None]]:
        return lambda cache, made_keys: nullcontext()

    replace("django_dcache.methods.near:NearMethods.dropping", nothing)


# Tags


@mistake("slow", **TAGGED)
def versions_after_load() -> None:
    """A value carries the versions that its tags have once it is loaded."""

    def keeping(keep: Callable[..., Any]) -> Callable[..., Any]:
        def run(loader: Any, value: Any, used: Any) -> Any:
            if loader._terms is not None:
                now = loader._run(loader._cache._made_versions(list(loader._terms.versions), loader._run))
                loader._terms = loader._terms._replace(versions=now)
            return keep(loader, value, used)

        return run

    replace("django_dcache.operations.loader:Loader._keep", keeping)


@mistake("slow", **TAGGED)
def missing_is_unchanged() -> None:
    """A tag that is missing counts as unchanged."""

    def changed(cache: Any, wanted: Iterable[tuple[str, bytes]], fresh: bool) -> Steps:
        unsure = {(tag, version) for tag, version in wanted if fresh or cache._known_version(tag) != version}
        now = (yield from cache._versions({tag for tag, _ in unsure})) if unsure else {}
        return {(tag, version) for tag, version in unsure if now.get(tag, version) != version}

    replace("django_dcache.operations.tags:Tags._changed", lambda _: changed)
