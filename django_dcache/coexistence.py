"""What OPTIONS["coexist"] leaves no choice of, since classic clients have none."""

from typing import Any

from .errors import ConfigurationError
from .model.topology import Layout
from .values import classic


def ring(options: Any) -> str:
    """The ring's mode by these `Options`. Raises ConfigurationError for what classic clients don't have."""
    if options.replicas != 1 or options.hash_tags:
        raise ConfigurationError(
            f"with coexist {options.coexist!r} each key has one copy, placed by all of its bytes: set replicas and "
            "hash_tags once `dcache-admin adopt finish` is done"
        )
    if options.coexist == "django-redis" and options.serializer == "msgpack" and options.prefixes:
        raise ConfigurationError(
            "a list by msgpack can look as if it was stored after its prefix was invalidated: leave prefixes out as "
            "long as coexist is set, or invalidate by tags"
        )
    rings = classic.RINGS.get(options.coexist, ("ketama",))
    if options.ring == "ketama":
        return rings[0]
    if options.ring not in rings:
        raise ConfigurationError(
            f"ring {options.ring!r} does not go with coexist {options.coexist!r}, want {' or '.join(rings)}"
        )
    return str(options.ring)


def check(alias: str, layout: Layout, coexist: str) -> None:
    """Raise ConfigurationError for nodes that such clients don't use."""
    if not coexist:
        return
    engine = "memcached" if coexist in classic.MEMCACHED else "redis"
    if layout.engines != [engine]:
        raise ConfigurationError(f"alias {alias!r}: coexist {coexist!r} is for nodes of {engine}")
    if engine == "redis" and len(layout.nodes) > 1:
        raise ConfigurationError(
            f"alias {alias!r}: {coexist} keeps everything on one server (further ones are its replicas): name that "
            "one, and let others join by `rebalance run --add` after `dcache-admin adopt finish`"
        )
