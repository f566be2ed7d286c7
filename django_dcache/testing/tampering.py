"""Changes to replies on their way to the client."""

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from .answers import CLOSE, RESET, Action, Answer, Dribble, truncated
from .dialogue import reply_block

Change: TypeAlias = Callable[[bytes], Answer | None]
"""From a whole reply, line ends included, to what is given instead; None lets it pass as it is."""


class Tamper:
    """A change for the next `times` replies it applies to, or for all of them (None)."""

    def __init__(self, change: Change, times: int | None = None):
        self._change, self._left = change, times

    def __call__(self, reply: bytes) -> Answer:
        if self._left == 0:
            return reply
        answer = self._change(reply)
        if answer is None:
            return reply
        if self._left is not None:
            self._left -= 1
        return answer


def ending(reset: bool) -> Action:
    return RESET if reset else CLOSE


def cut_after(count: int, end: Action) -> Change:
    """Lets `count` bytes pass, in one reply or many; then ends the connection and counts anew."""
    left = count

    def cut(reply: bytes) -> Answer | None:
        nonlocal left
        if len(reply) < left:
            left -= len(reply)
            return None
        kept, left = left, count
        return truncated(reply, kept, end)

    return cut


def cut_in_value(end: Action) -> Change:
    """Ends the connection half-way through the value of a reply that has one."""

    def cut(reply: bytes) -> Answer | None:
        line = reply.find(b"\n") + 1
        size = reply_block(reply[:line])
        return truncated(reply, line + size // 2, end) if size else None

    return cut


def garbage(random: Random) -> Change:
    """Some bytes, ending as a line does, that no memcached ever sent."""
    return lambda reply: random.randbytes(random.randint(1, 64)) + b"\r\n"


def duplicate(reply: bytes) -> Answer:
    """The reply, twice."""
    return reply + reply


def dribble(seconds: float) -> Change:
    """The reply, one byte at a time."""
    return lambda reply: Dribble(reply, seconds)


def error(line: bytes) -> Change:
    """This line instead of the reply."""
    return lambda reply: line + b"\r\n"
