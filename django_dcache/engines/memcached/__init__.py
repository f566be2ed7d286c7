"""memcached 1.6.18 or later, by its meta protocol."""

from ..interface import Engine
from . import hot, protocol
from .greeting import Greeting

ENGINE = Engine("memcached", protocol.encode, protocol.parser, Greeting, numbered=True, hot=hot)
