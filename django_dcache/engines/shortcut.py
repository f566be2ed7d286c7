"""What an engine offers the short cut (runtime/shortcut.py): the bytes of plain questions, and a look at plain answers.

Each question has an opaque number, which an engine with numbered replies has echoed. What an answer becomes is None
where it is not plain (an error, a value in two parts): that is left to the engine's parser.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..commands import Reply as Said
from ..errors import ProtocolViolation
from .interface import Parser

Found = dict[str, tuple[int, bytes]]
"""(flags, data) by made key."""
OUT_OF_STEP = -1
"""In place of a position: what is there is no answer to what was asked."""

Reply = Callable[[bytes, int], bool | None]
"""From the bytes that came and the opaque number: whether there was something to change."""


@dataclass(frozen=True, slots=True)
class ShortCut:
    """Questions take one tuple, so that a format's own method can be one. A TTL is what `expires` makes of it."""

    expires: Callable[[float | None], Any]
    """What stands for a TTL in seconds (None: for ever)."""
    get: Callable[[tuple[bytes, int]], bytes]
    """From (key, opaque)."""
    found: Callable[[bytes, int], tuple[int, int, int] | None]
    """The flags of the one value that the answer begins with, and where its data starts and stops: CR and LF follow."""
    missed: Callable[[bytes, int], bool]
    """Whether the answer is a miss. A stub is a miss too: another caller is loading."""
    store: Callable[[tuple[bytes, int, int, Any, int, bytes]], bytes]
    """From (key, size of the data, flags, TTL, opaque, data)."""
    stored: Reply
    add: Callable[[tuple[bytes, int, bytes, int, int, Any, int, bytes]], bytes]
    """From (key, opaque), and what `store` takes, numbered after it: look what is there, and store it if absent."""
    added: Callable[[bytes, int], bool]
    """Whether nothing was there, and it is stored."""
    kept: Callable[[bytes, int], bool]
    """From what follows the value that was there (`found`): whether that was left as it is."""
    remove: Callable[[bytes, int], bytes]
    removed: Reply
    touch: Callable[[tuple[bytes, Any, int]], bytes]
    """From (key, TTL, opaque)."""
    touched: Reply
    count: Callable[[tuple[bytes, int, int]], bytes]
    """From (key, what to add, opaque)."""
    counted: Callable[[bytes, int], int | bool | None]
    """The new number, as the node has it; False if there is none."""
    questions: Callable[[Sequence[bytes], int], bytes]
    """A `get` of each key, numbered from the second argument on."""
    answers: Callable[[bytes, Sequence[str], int, int, Found, list[str]], tuple[int, int]]
    """Read the answers to `questions`: from (data, made keys, number of the first answer in `data`, opaque number of
    the first question, found, missed). What is there goes to `found` by its made key, what is not to `missed`. Returns
    the position and the number at which to go on when more has come, or OUT_OF_STEP and the number that went wrong."""
    one_store: Callable[[tuple[bytes, int, int, Any, Any]], bytes]
    """From (key, size of the data, flags, TTL, data, or a view of it): a part of `stores`."""
    stores: Callable[[Sequence[bytes], int], bytes]
    """From its parts and an opaque number, writes whose outcome is told for all at once."""
    stores_parser: Callable[[int, int], Parser]
    """Reads what a node says to that, from the number of its parts and the opaque number. Where it refused any of them
    this raises ProtocolViolation, and `refused` says whether the node is through all the same."""
    removes: Callable[[Sequence[bytes], int], bytes]
    """The same from keys."""
    removes_parser: Callable[[int, int], Parser]
    compiled: bool = False
    """The extra `speed` has `found`, `questions` and `answers` compiled (runtime/speed.py)."""
    in_pieces: Callable[[tuple[bytes, int, int, Any, Any]], Sequence[Any]] | None = None
    """What `one_store` makes, with the data as it is for one of the pieces: a large value is copied once less."""


class _NoShortCut:
    """Each of its functions exists, and none but `expires` is ever called: no operation comes so far."""

    def expires(self, ttl: float | None) -> None:
        """Nothing: it is never sent."""

    def __getattr__(self, name: str) -> Any:
        return None


NO_SHORT_CUT: Any = _NoShortCut()
"""Of an engine all of whose operations take their flow."""


class InTurn:
    """Reads the reply to one command, and then what a node says to others as a whole."""

    refused = False
    """Some of the others were, and the node is through all the same."""
    rest = 0
    request = b""

    def __init__(self, one: Parser, others: Parser):
        self._one, self._others = one, others
        self._failure: ProtocolViolation | None = None
        self.replies: list[Said] = []

    @property
    def complete(self) -> bool:
        return self._others.complete

    @property
    def tainted(self) -> bool:
        return self._one.refused or self._others.tainted  # What follows the one reply is no surplus.

    def feed(self, chunk: bytes, start: int = 0) -> bool:
        """Take the next bytes; True once all of it is there. Raises ProtocolViolation, and again at each call since."""
        if self._failure:
            raise self._failure
        try:
            if not self._one.complete:
                if not self._one.feed(chunk, start):
                    return False
                start = len(chunk) - self._one.rest
            through = self._others.feed(chunk, start)
        except ProtocolViolation as failure:
            self._failure, self.refused = failure, self._others.refused
            raise
        self.replies = [*self._one.replies, *self._others.replies]
        return through


class WholeParser:
    """Reads what a node says to commands whose outcome is told for all at once; an engine has the `feed`.

    `refused`: some were refused, it is not said which; the node is through all the same, and there are no replies.
    """

    refused = False
    rest = 0
    request = b""

    def __init__(self, commands: int, opaque: int):
        self.replies: list[Said] = []
        self._commands, self._opaque, self._data = commands, opaque, b""

    @property
    def complete(self) -> bool:
        return len(self.replies) == self._commands

    @property
    def tainted(self) -> bool:
        return self.refused
