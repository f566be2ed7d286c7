"""The first commands on every connection: a server that can't be used shows it before anything is at stake.

`mn` changes nothing and takes no argument. A memcached that has no room for another connection, wants a login, or is
too old for meta commands answers with an error line, and one that hangs with nothing.

A memcached with a list of logins (-Y) takes one as the value of the first command, whatever its key. One without such a
list would store it: so it is given a time to live that is over at once.

It has no name of its own. So it is given one, a mark among its items, by the first that greets it: a number by chance.
The mark ends with the server, and another server has another one (docs/adr/0045).
"""

import re
from secrets import token_hex

from ...errors import ProtocolViolation
from ...model.addresses import Login
from ...model.keys import RESERVED
from ...model.state import mark_key
from ...model.topology import Node

QUESTION = b"mn\r\n"
ANSWER = b"MN\r\n"
MOST_BYTES = 4096
"""Of all that is said about the mark."""

_MATTERS = {
    b"ERROR Too many open connections": "it takes no more connections",
    b"CLIENT_ERROR unauth": 'it wants a login, OPTIONS["username"] and ["password"]',
    b"ERROR\r\n": "it is too old",
}
_REFUSED = (b"CLIENT_ERROR unauth", b"CLIENT_ERROR authentication failure")
_told = re.compile(
    rb"(?:HD|NS|SERVER_ERROR [^\r\n]*)\r\n(?:EN\r\n|VA (\d+)(?: [^\r\n]*)?\r\n(.*)\r\n)", re.DOTALL
).fullmatch


class Greeting:
    """One exchange of greetings."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        self.request, self._answer, self._said = QUESTION, ANSWER, b""
        self.returned = ""  # It starts empty.
        self.mark = ""
        self._logs_in, self._looks = login is not None, bool(fleet)
        if login:
            told = f"{login.user} {login.password}".encode()
            self.request = b"set %blogin 0 -1 %d\r\n%b\r\n%b" % (RESERVED, len(told), told, QUESTION)
            self._answer = b"STORED\r\n" + ANSWER
        if fleet:
            key, mark = mark_key(fleet), token_hex(8).encode()
            # It never expires, so T0 changes nothing, and the read is no hit in the node's statistics.
            self.request += b"ms %b %d T0 ME\r\n%b\r\nmg %b v T0\r\n" % (key, len(mark), mark, key)

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the node has greeted. Raises ProtocolViolation."""
        self._said += chunk
        answer, excess = self._answer, self._said[len(self._answer) :]
        if not (answer.startswith(self._said) or self._looks and excess and self._said.startswith(answer)):
            # A server may repeat what it was told, and a password must not get into a log.
            matter = self._matter()
            raise ProtocolViolation(matter if self._logs_in else f"it said {self._said[:80]!r}", cause=matter)
        return self._marked(excess) if self._looks else self._said == answer

    def _marked(self, said: bytes) -> bool:
        """Whether all is said about the mark. A server that is full has none."""
        told = _told(said)
        if told and len(told[2] or b"") == int(told[1] or 0):
            self.mark = (told[2] or b"").decode("ascii", "replace")
            return True
        if said[:1] not in (b"", b"H", b"N", b"S"):
            raise ProtocolViolation(f"it said {said[:80]!r}")
        if len(said) > MOST_BYTES:
            raise ProtocolViolation("the mark by which it is known was overwritten: remove it, or restart the server")
        return False

    def _matter(self) -> str:
        """What is wrong with a server that said this instead of the answer."""
        if self._logs_in and self._said.startswith(_REFUSED):
            return "it refuses the login"
        starts = (words for start, words in _MATTERS.items() if self._said.startswith(start))
        return next(starts, "another service answers there")
