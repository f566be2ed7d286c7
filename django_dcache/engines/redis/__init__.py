"""Redis 6.2 or later, and Valkey 7.2 or later, by RESP 2."""

from ..interface import Engine
from . import protocol
from .greeting import Greeting
from .hot import HOT
from .introspection import INTROSPECTION

ENGINE = Engine("redis", protocol.encode, protocol.parser, Greeting, INTROSPECTION, numbered=False, hot=HOT)
