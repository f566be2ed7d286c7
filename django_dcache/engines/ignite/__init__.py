"""Apache Ignite 2.11 or later, by the protocol of its thin clients. One of its caches holds the items of a node."""

from functools import cache, partial

from ..interface import Engine
from . import protocol
from .frames import cache_id
from .greeting import Greeting, Look
from .hot import hot
from .introspection import introspection


@cache
def engine(name: str) -> Engine:
    """Ignite, with the items in the cache of this name."""
    number = cache_id(name)
    return Engine(
        "ignite",
        partial(protocol.encode, number),
        partial(protocol.ReplyParser, number),
        Greeting,
        introspection(number),
        numbered=True,
        ordered=False,
        again=Look,
        hot=hot(number),
    )
