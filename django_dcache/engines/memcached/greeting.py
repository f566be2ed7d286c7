"""The first command on every connection: a server that can't be used shows it before anything is at stake.

`mn` changes nothing and takes no argument. A memcached that has no room for another connection, wants a login, or is
too old for meta commands answers with an error line, and one that hangs with nothing.

A memcached with a list of logins (-Y) takes one as the value of the first command, whatever its key. One without such a
list would store it: so it is given a time to live that is over at once.
"""

from ...errors import ProtocolViolation
from ...model.addresses import Login
from ...model.keys import RESERVED
from ...model.topology import Node

QUESTION = b"mn\r\n"
ANSWER = b"MN\r\n"

_MATTERS = {
    b"ERROR Too many open connections": "it takes no more connections",
    b"CLIENT_ERROR unauth": 'it wants a login, OPTIONS["username"] and ["password"]',
    b"ERROR\r\n": "it is too old",
}
_REFUSED = (b"CLIENT_ERROR unauth", b"CLIENT_ERROR authentication failure")


class Greeting:
    """One exchange of greetings."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        self.request, self._answer, self._said = QUESTION, ANSWER, b""
        self.returned = ""  # It starts empty.
        self._logs_in = login is not None
        if login:
            told = f"{login.user} {login.password}".encode()
            self.request = b"set %blogin 0 -1 %d\r\n%b\r\n%b" % (RESERVED, len(told), told, QUESTION)
            self._answer = b"STORED\r\n" + ANSWER

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the node has greeted. Raises ProtocolViolation."""
        self._said += chunk
        if not self._answer.startswith(self._said):
            # A server may repeat what it was told, and a password must not get into a log.
            matter = self._matter()
            raise ProtocolViolation(matter if self._logs_in else f"it said {self._said[:80]!r}", cause=matter)
        return self._said == self._answer

    def _matter(self) -> str:
        """What is wrong with a server that said this instead of the answer."""
        if self._logs_in and self._said.startswith(_REFUSED):
            return "it refuses the login"
        starts = (words for start, words in _MATTERS.items() if self._said.startswith(start))
        return next(starts, "another service answers there")
