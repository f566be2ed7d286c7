"""What a hostile node may answer: the vocabulary of ScriptedNode and FaultProxy.

An answer is bytes, an action, or a tuple of answers given one after the other: `(b"VA 5\\r\\nhe", RESET)` is a
connection reset in the middle of a value.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Action(Enum):
    """Something a node does instead of answering."""

    CLOSE = "the connection is closed in good order (FIN), after what was sent"
    RESET = "the connection is reset (RST)"
    SILENCE = "no answer; the connection stays open"


CLOSE, RESET, SILENCE = Action


@dataclass(frozen=True)
class Dribble:
    """`reply`, one byte at a time, with a pause of `seconds` after each."""

    reply: bytes
    seconds: float


Answer: TypeAlias = bytes | Action | Dribble | tuple["Answer", ...]


def truncated(reply: bytes, size: int, ending: Action = CLOSE) -> Answer:
    """The first `size` bytes of `reply`, then `ending`."""
    return reply[:size], ending
