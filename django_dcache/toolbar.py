"""The panel of Django Debug Toolbar for caches, with asynchronous calls as well: its own shows none of a native cache.

DEBUG_TOOLBAR_PANELS = [..., "django_dcache.toolbar.CachePanel"]  # in place of debug_toolbar.panels.cache.CachePanel
"""

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

from debug_toolbar.panels import cache as panels
from debug_toolbar.utils import get_stack_trace, get_template_info
from django.core.cache import CacheHandler


class CachePanel(panels.CachePanel):
    @classmethod
    def ready(cls) -> None:
        super().ready()
        connect = CacheHandler.create_connection

        @functools.wraps(connect)
        def create_connection(handler: CacheHandler, alias: str) -> Any:
            cache = connect(handler, alias)
            _watch(cache, alias)
            return cache

        CacheHandler.create_connection = create_connection

    def enable_instrumentation(self) -> None:
        super().enable_instrumentation()
        for cache, alias in self.initialized_caches():
            _watch(cache, alias)


def _watch(cache: Any, alias: str) -> None:
    """Have each asynchronous method tell the panel that watches the cache at that moment, if one does."""
    if "aget" in vars(cache):
        return
    for name in panels.WRAPPED_CACHE_METHODS:
        setattr(cache, f"a{name}", _told(cache, alias, name, getattr(cache, f"a{name}")))


def _told(cache: Any, alias: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def told(*args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        value = await method(*args, **kwargs)
        if panel := getattr(cache, "_djdt_panel", None):
            panel._store_call_info(
                name=name,
                time_taken=perf_counter() - began,
                return_value=value,
                args=args,
                kwargs=kwargs,
                trace=get_stack_trace(skip=2),
                template_info=get_template_info(),
                backend=f"{alias} ({type(cache).__name__})",
            )
        return value

    return told
