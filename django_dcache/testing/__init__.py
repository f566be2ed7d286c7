"""Real nodes, hostile nodes and faulty networks, for the tests of a site or of this package. Loopback only.

    LocalNode, LocalRedis, LocalValkey      real servers that can be killed, frozen and restarted
    LocalIgnite                 a server of Apache Ignite, the same
    LocalMemory                 a node that is a dict in this process
    LocalFleet                  some nodes, started together
    ScriptedNode                a fake node that answers whatever a test tells it to
    FaultProxy                  a network in front of a real node, with faults to switch on and off
    CLOSE, RESET, SILENCE, Dribble, truncated       what the two above may answer
    ManualClock                 time as an argument
    dial, receive               a plain socket to any of them

Needs no Django and no test framework.
"""

from .answers import CLOSE, RESET, SILENCE, Action, Answer, Dribble, truncated
from .client import dial, receive
from .clock import ManualClock
from .fleet import LocalFleet
from .ignite_node import LocalIgnite
from .memory_node import LocalMemory
from .node import LocalNode
from .proxy import Direction, FaultProxy
from .redis_node import LocalRedis, LocalValkey
from .scripted import Script, ScriptedNode

__all__ = [
    "CLOSE",
    "RESET",
    "SILENCE",
    "Action",
    "Answer",
    "Direction",
    "Dribble",
    "FaultProxy",
    "LocalFleet",
    "LocalIgnite",
    "LocalMemory",
    "LocalNode",
    "LocalRedis",
    "LocalValkey",
    "ManualClock",
    "Script",
    "ScriptedNode",
    "dial",
    "receive",
    "truncated",
]
