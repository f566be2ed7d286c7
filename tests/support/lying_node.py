"""A node that does what it is told, and may say anything about it."""

import re
from collections.abc import Callable

from django_dcache.model.keys import RESERVED
from django_dcache.testing import CLOSE, RESET, SILENCE, Dribble, LocalNode, ScriptedNode, dial, truncated
from django_dcache.testing.answers import Answer
from django_dcache.testing.dialogue import Splitter, reply_block

Lie = Callable[[bytes], Answer]
"""From the true reply to the one that is given."""


class Liar(ScriptedNode):
    """A scripted node in front of a real one. What it says about the fleet state is true unless `state_too`."""

    def __init__(self, node: LocalNode):
        super().__init__(self._answer)
        self.node = node
        self.lie: Lie | None = None
        self.state_too = False
        self._real, self._splitter = dial(node.address), Splitter(reply_block)

    def _answer(self, command: bytes, number: int) -> Answer:
        if command.startswith(b"lru_crawler "):
            return b"END\r\n"  # The node lists in a thread of its own, and may take longer than this waits.
        # A quiet command may have no answer: the second one tells when that is so.
        self._real.sendall(command + b"\r\nmn\r\n")
        replies: list[bytes] = []
        while replies[-1:] != [b"MN\r\n"]:
            replies += self._splitter.feed(self._real.recv(1 << 16))
        key = command.partition(b" ")[2].partition(b" ")[0]
        about_state = key.startswith(RESERVED) and key != RESERVED
        if self.lie and len(replies) > 1 and (self.state_too or not about_state):
            return self.lie(replies[0])
        return b"".join(replies[:-1])

    def stop(self) -> None:
        super().stop()
        self._real.close()


class Late:
    """Every reply comes once more, together with the next one."""

    def __init__(self) -> None:
        self.before = b""

    def __call__(self, reply: bytes) -> Answer:
        before, self.before = self.before, reply
        return before + reply


class Swapped:
    """Every two replies come in the wrong order."""

    def __init__(self) -> None:
        self.held = b""

    def __call__(self, reply: bytes) -> Answer:
        if not self.held:
            self.held = reply
            return SILENCE
        held, self.held = self.held, b""
        return reply + held


def number_of(reply: bytes) -> bytes:
    """The opaque number of a reply."""
    found = re.search(rb" O(\d+)", reply)
    return found[1] if found else b"0"


def instead(line: bytes) -> Lie:
    """This line, with the right number."""
    return lambda reply: line.replace(b"#", number_of(reply)) + b"\r\n"


def changed(pattern: bytes, to: bytes) -> Lie:
    """The true reply with something else in its first line."""

    def change(reply: bytes) -> bytes:
        line, end, rest = reply.partition(b"\r\n")
        return re.sub(pattern, to, line, count=1) + end + rest

    return change


def renumbered(by: int) -> Lie:
    """A reply that bears the number of another command."""
    return lambda reply: re.sub(rb" O(\d+)", lambda found: b" O%d" % (int(found[1]) + by), reply, count=1)


def _noise(reply: bytes) -> bytes:
    return bytes(range(256))


LIES: dict[str, Callable[[], Lie]] = {
    "closed": lambda: lambda reply: CLOSE,
    "reset": lambda: lambda reply: RESET,
    "silence": lambda: lambda reply: SILENCE,
    "half and silence": lambda: lambda reply: truncated(reply, len(reply) // 2, SILENCE),
    "all but one byte and silence": lambda: lambda reply: truncated(reply, len(reply) - 1, SILENCE),
    "one byte a second": lambda: lambda reply: Dribble(reply, 1.0),
    "noise": lambda: _noise,
    "a line of noise": lambda: lambda reply: _noise(reply).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n",
    "an empty line": lambda: instead(b""),
    "a flood": lambda: lambda reply: b"VA 900000000 f0 O%b\r\n" % number_of(reply) + b"x" * 4_000_000,
    "a line without an end": lambda: lambda reply: b"x" * 100_000,
    "twice": lambda: lambda reply: reply + reply,
    "twice, reset": lambda: lambda reply: (reply + reply, RESET),
    "once more with the next": Late,
    "in the wrong order": Swapped,
    "the next number": lambda: renumbered(1),
    "the number before": lambda: renumbered(-1),
    "no number": lambda: changed(rb" O\d+", b""),
    "an endless number": lambda: changed(rb" O\d+", b" O" + b"9" * 5000),
    "a size too large": lambda: changed(rb"^VA \d+", b"VA 999"),
    "a size too small": lambda: changed(rb"^VA \d+", b"VA 1"),
    "a size below zero": lambda: changed(rb"^VA \d+", b"VA -1"),
    "a size of a terabyte": lambda: changed(rb"^VA \d+", b"VA 1000000000000"),
    "a size of 20 digits": lambda: changed(rb"^VA \d+", b"VA " + b"9" * 20),
    "a size of 5,000 digits": lambda: changed(rb"^VA \d+", b"VA " + b"9" * 5000),
    "no size": lambda: changed(rb"^VA \d+", b"VA"),
    "flags below zero": lambda: changed(rb" f\d+", b" f-1"),
    "flags too large": lambda: changed(rb" f\d+", b" f99999999999"),
    "flags of a pickle": lambda: changed(rb" f\d+", b" f1"),
    "flags of nobody": lambda: changed(rb" f\d+", b" f77"),
    "NS": lambda: instead(b"NS O#"),
    "EX": lambda: instead(b"EX O#"),
    "OK": lambda: instead(b"OK"),
    "END": lambda: instead(b"END"),
    "STORED": lambda: instead(b"STORED"),
    "DELETED": lambda: instead(b"DELETED"),
    "VALUE": lambda: instead(b"VALUE k 16 5\r\nwrong\r\nEND"),
    "ERROR": lambda: instead(b"ERROR"),
    "CLIENT_ERROR": lambda: instead(b"CLIENT_ERROR bad command line format"),
    "SERVER_ERROR": lambda: instead(b"SERVER_ERROR out of memory"),
}
"""What a node may say, none of which could be true."""
