"""A Django cache sharded over a fleet of nodes: memcached, Redis, Valkey or Ignite."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .invalidation import invalidate

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "invalidate":
        from .invalidation import invalidate  # Here: settings may import this package, and it needs them.

        return invalidate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["__version__", "invalidate"]
