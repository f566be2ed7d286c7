"""memcached 1.6.18 or later, by its meta protocol."""

from collections.abc import Iterator

from ..inspection import Check, Introspection, NodeReply
from ..interface import Engine
from . import bulk_fill, exposure, health, protocol
from .census import Census
from .greeting import Greeting
from .health import round_trip
from .hot import HOT
from .introspection import Listing, Report, item_facts, unsuitable
from .reads_log import ReadsLog


def checks(reply: NodeReply) -> Iterator[Check]:
    """What a node's own words tell: how it is, and who can reach it."""
    yield from health.checks(reply)
    yield from exposure.checks(reply)


ENGINE = Engine(
    "memcached",
    protocol.encode,
    protocol.parser,
    Greeting,
    Introspection(Report, Listing, item_facts, checks, round_trip, unsuitable, bulk_fill, ReadsLog),
    numbered=True,
    census=Census,
    hot=HOT,
)
