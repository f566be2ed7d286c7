"""memcached 1.6.18 or later, by its meta protocol."""

from ..inspection import Introspection
from ..interface import Engine
from . import bulk_fill, hot, protocol
from .census import Census
from .greeting import Greeting
from .health import RoundTrip, checks
from .introspection import Listing, Report, item_facts, unsuitable

ENGINE = Engine(
    "memcached",
    protocol.encode,
    protocol.parser,
    Greeting,
    Introspection(Report, Listing, item_facts, checks, RoundTrip, unsuitable, bulk_fill),
    numbered=True,
    census=Census,
    hot=hot,
)
